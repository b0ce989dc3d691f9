"""One small class per algorithm: it gives the tokens of groups their advantages and names its loss."""
