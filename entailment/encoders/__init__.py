"""The encoders: weights, TF-Hub-form modules and stored features."""
