//! Images: those that come with a question, and those that the model makes.

mod files;
mod incoming;
mod made;

pub(crate) use files::ImageFiles;
pub(crate) use incoming::{ImageMemory, ImageProblem, fetch_all, fetch_what_is_there, keep_what_is_needed};
pub(crate) use made::{
    ID_PREFIX, ImageError, ImageOrigin, ImageRooms, Images, PendingImages, Picture, extension_of, is_id,
};
