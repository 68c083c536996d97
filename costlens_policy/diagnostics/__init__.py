"""Problems in documents: what they are (``model``), their numbers (``codes``), how they are shown (``render``)."""
