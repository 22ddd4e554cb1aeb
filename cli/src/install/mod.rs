//! Registering the tools in OpenCode's configuration, and taking that back.
//!
//! Invariant: what is added is noted before it is there, so that exactly that can
//! be taken away. Everything here works on files of the person who runs it, and
//! deliberately asks nobody: the verbs do.

mod adapter;
mod document;
mod file;
mod list;
mod places;
mod receipt;

pub(crate) use adapter::{Adapter, PACKAGE, manifest, names_adapter};
pub(crate) use document::{
    EditError, Entry, Put, Section, fresh, is_bare, plugins, put, take, value,
};
pub(crate) use file::{FileError, read, replace};
pub(crate) use places::{
    PlacesError, Project, documents, global_documents, personal_documents, target,
};
pub(crate) use receipt::{Added, Receipt, ReceiptError};
