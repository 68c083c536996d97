"""Training of learned signals: linear models that tell the task of a prompt, or its difficulty."""
