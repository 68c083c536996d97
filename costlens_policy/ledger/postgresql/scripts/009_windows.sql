-- Windows may begin with their first use: the tables stay as they are, and the functions are made anew.
SELECT 1;
