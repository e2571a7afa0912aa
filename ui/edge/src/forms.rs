//! What plain forms send.

use std::collections::BTreeMap;

/// Fields of a plain form, or of a query, by name.
pub type Fields = BTreeMap<String, String>;
