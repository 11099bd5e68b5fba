//! The whole state as one value.

mod row;

pub use row::{Row, RowId};
