//! Fuzz targets: plain functions that must return whatever they are fed.
