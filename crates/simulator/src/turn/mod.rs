//! A turn apart from the form it is sent in: what was asked, what the script makes of it, what is stored. The REST stream
//! and the socket are two ways to render it.

mod asked;
mod begin;
pub(crate) mod cards;
mod keeper;
mod recorder;

pub(crate) use asked::{Asked, Fault, Wanted, admit, owned};
pub(crate) use begin::{Turn, begin, branch};
pub(crate) use keeper::{Keep, Keeper, goes_on};
pub(crate) use recorder::Recorder;
