//! Slow hashes of passwords.

use std::sync::Arc;

use argon2::password_hash::Error;
use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use tokio::sync::Semaphore;

use super::AdminsError;
use crate::secrets::random_array;

/// KiB of memory and passes of a hash. As strong as 19 MiB with two passes, and what one sign-in leaves in the process is small.
const MEMORY_KIB: u32 = 7_168;
const PASSES: u32 = 5;

/// Hashes computed at the same time: each takes 7 MiB and a core for some 20 ms.
const AT_ONCE: usize = 2;

/// Stands in for the hash of an admin who does not exist, so that the answer takes as long as for one who does. No password
/// has it: the hash is made up.
const DECOY: &str = "$argon2id$v=19$m=7168,t=5,p=1$Z3JvazJhcGktZGVjb3ktcw$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// One more for those who signed in before, so that they do not stand in a row with all who guess.
const AT_ONCE_KNOWN: usize = 1;

/// Computes and checks hashes (argon2id).
pub(super) struct Passwords {
    strangers: Arc<Semaphore>,
    known: Arc<Semaphore>,
}

impl Passwords {
    pub(super) fn new() -> Self {
        Self { strangers: Arc::new(Semaphore::new(AT_ONCE)), known: Arc::new(Semaphore::new(AT_ONCE_KNOWN)) }
    }

    /// A salted hash as a PHC string.
    pub(super) async fn hash(&self, password: &str) -> Result<String, AdminsError> {
        let password = password.to_owned();
        Self::run(&self.known, move || {
            let params = Params::new(MEMORY_KIB, PASSES, 1, None)?;
            let salt = Salt::new(&random_array::<16>())?;
            Ok(PasswordHash {
                algorithm: Algorithm::Argon2id.ident(),
                version: Some(Version::V0x13.into()),
                params: ParamsString::try_from(&params)?,
                hash: Some(compute(Algorithm::Argon2id, Version::V0x13, params, &salt, &password)?),
                salt: Some(salt),
            }
            .to_string())
        })
        .await
    }

    /// Whether the password has the hash; without a hash it is never right, after the same time.
    pub(super) async fn verify(
        &self,
        password: &str,
        hash: Option<String>,
        is_stranger: bool,
    ) -> Result<bool, AdminsError> {
        let password = password.to_owned();
        Self::run(if is_stranger { &self.strangers } else { &self.known }, move || {
            let hash = PasswordHash::new(hash.as_deref().unwrap_or(DECOY))?;
            let (Some(salt), Some(expected)) = (&hash.salt, &hash.hash) else { return Err(Error::PasswordInvalid) };
            let algorithm = Algorithm::try_from(hash.algorithm.as_str())?;
            let version = hash.version.map_or(Ok(Version::default()), Version::try_from)?;
            let output = compute(algorithm, version, Params::try_from(&hash)?, salt, &password)?;
            // Outputs are compared in constant time.
            Ok(output == *expected)
        })
        .await
    }

    async fn run<T: Send + 'static>(
        permits: &Arc<Semaphore>,
        work: impl FnOnce() -> Result<T, Error> + Send + 'static,
    ) -> Result<T, AdminsError> {
        let permit = Arc::clone(permits).acquire_owned().await.expect("the semaphore is never closed");
        let result = tokio::task::spawn_blocking(move || {
            // Held by the work itself: a caller who gives up does not free the core it uses.
            let _permit = permit;
            work()
        })
        .await;
        match result {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(AdminsError::Hashing(error.to_string())),
            Err(error) => Err(AdminsError::Hashing(error.to_string())),
        }
    }
}

/// Allocations above this are given back when they end. What a hash needs is less, and the allocator would keep it for the next:
/// 7 MiB for as long as the process lives, after the first sign-in.
const GIVEN_BACK: usize = 33 * 1024 * 1024;

fn compute(
    algorithm: Algorithm,
    version: Version,
    params: Params,
    salt: &[u8],
    password: &str,
) -> Result<Output, Error> {
    let length = params.output_len().unwrap_or(Params::DEFAULT_OUTPUT_LEN);
    let blocks = params.block_count();
    // Only what is used of it becomes memory.
    let mut memory = Vec::with_capacity(blocks.max(GIVEN_BACK / Block::SIZE));
    memory.resize(blocks, Block::default());
    let mut output = vec![0; length];
    let argon2 = Argon2::new(algorithm, version, params);
    argon2.hash_password_into_with_memory(password.as_bytes(), salt, &mut output, &mut memory)?;
    Ok(Output::new(&output)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_is_recognised_and_no_other() {
        let passwords = Passwords::new();
        let hash = passwords.hash("correct horse").await.unwrap();
        assert!(hash.starts_with("$argon2id$") && !hash.contains("horse"));
        assert!(passwords.verify("correct horse", Some(hash.clone()), true).await.unwrap());
        for wrong in ["", "correct hors", "Correct horse", "correct horse "] {
            assert!(!passwords.verify(wrong, Some(hash.clone()), false).await.unwrap(), "{wrong}");
        }
        assert_ne!(passwords.hash("correct horse").await.unwrap(), hash, "salted");
    }

    #[tokio::test]
    async fn the_decoy_costs_what_a_hash_costs_and_is_never_right() {
        let passwords = Passwords::new();
        assert!(!passwords.verify("anything", None, true).await.unwrap());
        let hash = passwords.hash("anything").await.unwrap();
        let cost = |hash: &str| hash.rsplitn(3, '$').last().unwrap().to_owned();
        assert_eq!(cost(DECOY), cost(&hash));
        assert_eq!(DECOY.len(), hash.len(), "salt and hash are as long");
    }

    #[tokio::test]
    async fn a_damaged_hash_is_an_error_and_not_a_wrong_password() {
        let result = Passwords::new().verify("anything", Some("rubbish".to_owned()), true).await;
        assert!(matches!(result, Err(AdminsError::Hashing(_))));
    }
}
