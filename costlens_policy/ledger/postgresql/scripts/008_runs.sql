-- Calls may be barred by others: the tables stay as they are, and the functions are made anew.
SELECT 1;
