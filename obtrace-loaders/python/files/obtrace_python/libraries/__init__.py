"""One module a library or a family of libraries; each is loaded when the library is."""
