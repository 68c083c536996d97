"""The catalogue: models, prices and abilities."""
