-- Tables stay as they are: this version has further functions.
SELECT 1;
