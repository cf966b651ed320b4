"""What others return, drawn and written: figures, pages, the model card."""
