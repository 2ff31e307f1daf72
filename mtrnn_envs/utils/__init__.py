"""Arrays of numpy and torch alike, checks of arguments, and files that are whole or not there."""
