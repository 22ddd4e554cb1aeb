//! The openshell component.
pub mod policy;
