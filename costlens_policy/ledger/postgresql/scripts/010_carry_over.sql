-- Windows may carry over what they left unused: the tables stay as they are, and the functions are made anew.
SELECT 1;
