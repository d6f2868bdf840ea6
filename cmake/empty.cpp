// A folder whose sources are not written yet still is a library.
