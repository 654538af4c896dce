//! Request and response types and error codes of the HTTP API.
