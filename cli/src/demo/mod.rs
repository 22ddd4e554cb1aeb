//! The demonstration: a short operator's story on a private server.

pub(crate) mod server;
