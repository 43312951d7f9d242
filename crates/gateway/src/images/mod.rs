//! Images: those that come with a question, and those that the model makes.

mod incoming;

pub(crate) use incoming::{ImageProblem, fetch_all, fetch_what_is_there};
