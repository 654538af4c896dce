//! Where the root key comes from.

use std::{
    fs,
    io::{ErrorKind, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use tacit_crypto::RootKey;
use zeroize::Zeroizing;

use crate::start::{RootKeySource, StartError};

/// The key file's name in the data directory, unless another place is given.
const ROOT_KEY_FILE: &str = "root.key";

/// The root key of a data directory; `may_make` makes one where there is none.
pub(crate) fn root_key(
    data: &Path,
    source: Option<&RootKeySource>,
    may_make: bool,
) -> Result<RootKey, StartError> {
    match source {
        Some(RootKeySource::Env(name)) => from_env(name),
        Some(RootKeySource::File(path)) => from_file(path, may_make),
        None => from_file(&data.join(ROOT_KEY_FILE), may_make),
    }
}

fn from_env(name: &str) -> Result<RootKey, StartError> {
    let text = Zeroizing::new(std::env::var(name).map_err(|_| {
        StartError::new(
            format!("the environment variable {name}, which should hold the root key, is not set"),
            "set it to the content of the root key file",
        )
    })?);
    parse(&text, &format!("the environment variable {name}"))
}

fn from_file(path: &Path, may_make: bool) -> Result<RootKey, StartError> {
    match fs::read_to_string(path) {
        Ok(text) => {
            refuse_loose_mode(path)?;
            parse(&Zeroizing::new(text), &path.display().to_string())
        }
        Err(error) if error.kind() == ErrorKind::NotFound && may_make => make(path),
        Err(error) if error.kind() == ErrorKind::NotFound => Err(StartError::new(
            format!("the root key is not at {}; nothing was changed", path.display()),
            "put the key file back, or name its place with --root-key file:PATH; without it nobody can open the values",
        )),
        Err(error) => Err(StartError::new(
            format!("the root key at {} cannot be read: {error}", path.display()),
            "check the file's owner and mode",
        )),
    }
}

fn parse(text: &str, place: &str) -> Result<RootKey, StartError> {
    RootKey::parse(text).map_err(|error| {
        StartError::new(
            format!("{place} does not hold a root key: {error}"),
            "restore it from your copy; nothing was changed",
        )
    })
}

fn refuse_loose_mode(path: &Path) -> Result<(), StartError> {
    let mode = fs::metadata(path).map(|metadata| metadata.permissions().mode()).unwrap_or_default();
    if mode & 0o077 == 0 {
        return Ok(());
    }
    Err(StartError::new(
        format!("the root key at {} can be read by other users of this machine", path.display()),
        format!("chmod 600 {}, and rotate the key if somebody may have read it", path.display()),
    ))
}

/// Made before the database, and flushed with its directory: a database without its key would be worth nothing.
fn make(path: &Path) -> Result<RootKey, StartError> {
    let failed = |error: std::io::Error| {
        StartError::new(
            format!("the root key cannot be written to {}: {error}", path.display()),
            "check the directory's owner and free space",
        )
    };
    let directory = path.parent().map_or_else(|| PathBuf::from("."), Path::to_path_buf);
    if !directory.exists() {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&directory).map_err(failed)?;
    }
    let key = RootKey::generate();
    // Written beside its place and moved there whole: a kill or a full disk never leaves half a key. A link, because it
    // refuses to replace a key that somebody else put there meanwhile.
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&beside)
        .map_err(failed)?;
    file.write_all(key.to_file_text().as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
    fs::hard_link(&beside, path).and_then(|()| fs::remove_file(&beside)).map_err(failed)?;
    fs::File::open(&directory).and_then(|directory| directory.sync_all()).map_err(failed)?;
    Ok(key)
}
