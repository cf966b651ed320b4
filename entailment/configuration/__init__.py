"""The settings, one module a section; `configuration` holds them together, `loading` reads them."""
