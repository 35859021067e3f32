"""Run records that the book's pages cite; installed as `minideeptalk.book_records`, so that Colab needs no clone."""
