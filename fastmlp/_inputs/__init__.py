"""What a network reads of a user's table: numbers, codes of categories, calendars."""
