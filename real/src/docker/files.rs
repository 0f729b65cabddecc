//! Files that are put into a container: of its pod's ConfigMaps, Secrets and fields.

use std::sync::Arc;

use bollard::{body_full, query_parameters::UploadToContainerOptions};

use super::{ContainerId, Engine, EngineError, engine::CHANGE_LIMIT};

/// A file to be put into a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSpec {
    /// Its absolute path.
    pub path: String,
    /// Its permissions.
    pub mode: u32,
    /// What is in it.
    pub data: Arc<[u8]>,
}

impl Engine {
    /// Writes files into a container, which need not run; folders that are missing are made. The files belong to root.
    ///
    /// `NotFound`: there is no such container.
    pub async fn put_files(&self, id: &ContainerId, files: &[FileSpec]) -> Result<(), EngineError> {
        if files.is_empty() {
            return Ok(());
        }
        let subject = id.to_string();
        let archive = archive(files).map_err(|error| EngineError::Refused {
            call: "copy into",
            subject: subject.clone(),
            status: 0,
            message: error.to_string(),
        })?;
        let options = UploadToContainerOptions { path: "/".to_owned(), ..UploadToContainerOptions::default() };
        let call = self.docker.upload_to_container(&id.0, Some(options), body_full(archive.into()));
        self.change("copy into", &subject, CHANGE_LIMIT, call).await
    }
}

/// The files as a tar archive. The error is a path that cannot be one.
fn archive(files: &[FileSpec]) -> std::io::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    for file in files {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Regular);
        header.set_mode(file.mode);
        header.set_size(file.data.len() as u64);
        header.set_mtime(0);
        header.set_uid(0);
        header.set_gid(0);
        archive.append_data(&mut header, file.path.trim_start_matches('/'), &*file.data)?;
    }
    archive.into_inner()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn an_archive_has_each_file_under_its_path_with_its_permissions() {
        let long = format!("/etc/{}/key", "x".repeat(150));
        let file = |path: &str, mode, data: &[u8]| FileSpec { path: path.to_owned(), mode, data: data.into() };
        let bytes =
            archive(&[file("/etc/app/a", 0o400, b"one"), file(&long, 0o644, b"")]).expect("the paths are sound");
        let mut archive = tar::Archive::new(bytes.as_slice());
        let read = |entry: std::io::Result<tar::Entry<'_, &[u8]>>| {
            let mut entry = entry.expect("an entry");
            let mut text = String::new();
            entry.read_to_string(&mut text).expect("text");
            let path = entry.path().expect("a path").display().to_string();
            (path, entry.header().mode().expect("a mode"), text)
        };
        let found: Vec<_> = archive.entries().expect("an archive").map(read).collect();
        let expected = [("etc/app/a", 0o400, "one"), (&long[1..], 0o644, "")];
        assert_eq!(found, expected.map(|(path, mode, text)| (path.to_owned(), mode, text.to_owned())));
        assert!(super::archive(&[file("/../etc/passwd", 0o644, b"")]).is_err());
    }
}
