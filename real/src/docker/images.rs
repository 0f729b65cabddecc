//! Images: what this machine has, and making one out of a single static program without any registry.

use std::time::Duration;

use bollard::{
    body_full,
    query_parameters::{CreateImageOptions, ListImagesOptions, RemoveImageOptions},
};
use futures_util::TryStreamExt;
use tokio::sync::Mutex;

use super::{
    Bytes, Engine, EngineError, ImageName, StaticProgram,
    engine::{CHANGE_LIMIT, missing},
};

/// The program of the pause container, compiled by `build.rs` from `images/pause.rs`: static, a few kilobytes.
pub static PAUSE_PROGRAM: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/pause"));
/// Unpacking a program of some megabytes onto a busy disk.
const IMPORT_LIMIT: Duration = Duration::from_secs(120);
/// A large image over a slow line.
const PULL_LIMIT: Duration = Duration::from_secs(15 * 60);
/// Where the program lies in an image made by us.
const PROGRAM_PATH: &str = "app";

/// An image on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// The engine's identifier, a digest.
    pub id: String,
    /// The names it has, in the engine's short form; none if another image took its name.
    pub names: Vec<String>,
    /// What it takes on disk, layers that are shared with others included.
    pub size: Bytes,
}

/// An image to be made: one static program, nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgramImage {
    /// The program, which becomes the image's entry point.
    pub program: StaticProgram,
    /// Environment variables that every container of the image gets, name and value.
    pub env: Vec<(String, String)>,
}

/// The name of the pause image that belongs to this build. Another program has another name, so none is ever stale.
pub fn pause_image_name() -> ImageName {
    let name = concat!("wavetank/pause:", env!("CARGO_PKG_VERSION"), "-", env!("WAVETANK_PAUSE_FINGERPRINT"));
    name.parse().expect("version and hexadecimal digits make a sound tag")
}

fn pause_program() -> ProgramImage {
    let program = StaticProgram::new(PAUSE_PROGRAM.to_vec()).expect("built for this machine, statically");
    ProgramImage { program, env: Vec::new() }
}

impl Engine {
    /// Whether this machine has the image, under any spelling of its name.
    pub async fn has_image(&self, name: &ImageName) -> Result<bool, EngineError> {
        Ok(self.image_id(name).await?.is_some())
    }

    /// Has the engine pull an image from its registry, without credentials, even if this machine has one of that name.
    pub async fn pull_image(&self, name: &ImageName) -> Result<(), EngineError> {
        let subject = name.to_string();
        let options = CreateImageOptions { from_image: Some(subject.clone()), ..CreateImageOptions::default() };
        let pull = self.docker.create_image(Some(options), None, None).try_collect::<Vec<_>>();
        self.change("pull", &subject, PULL_LIMIT, pull).await.map(|_| ())
    }

    /// All images of this machine, ordered by name.
    pub async fn images(&self) -> Result<Vec<Image>, EngineError> {
        let answers = self.read("list images", "this machine", || self.docker.list_images(None::<ListImagesOptions>));
        let mut images: Vec<Image> = Vec::new();
        for answer in answers.await? {
            let names = answer.repo_tags.into_iter().filter(|name| name != "<none>:<none>").collect();
            let size = u64::try_from(answer.size).map_err(|_| missing("list images", &answer.id, "a positive Size"))?;
            images.push(Image { id: answer.id, names, size: Bytes(size) });
        }
        images.sort_by(|a, b| (&a.names, &a.id).cmp(&(&b.names, &b.id)));
        Ok(images)
    }

    /// Makes the pause image of this build unless it is there; tells whether it was made.
    pub async fn ensure_pause_image(&self) -> Result<bool, EngineError> {
        // The first pods of a fresh machine all miss it at once: one makes it, the others wait and find it.
        static MAKING: Mutex<()> = Mutex::const_new(());
        let _making = MAKING.lock().await;
        let name = pause_image_name();
        if self.has_image(&name).await? {
            return Ok(false);
        }
        self.import_program(&name, &pause_program()).await?;
        Ok(true)
    }

    /// Makes an image out of one program and gives it `name`.
    ///
    /// An older image of that name loses it, and is removed unless it has other names or containers use it.
    pub async fn import_program(&self, name: &ImageName, image: &ProgramImage) -> Result<(), EngineError> {
        let subject = name.to_string();
        let refused =
            |message: String| EngineError::Refused { call: "import", subject: subject.clone(), status: 0, message };
        let Some((repository, tag)) = name.repository_and_tag() else {
            return Err(refused("an image cannot be made under a digest; give it a tag".to_owned()));
        };
        let options = CreateImageOptions {
            from_src: Some("-".to_owned()),
            repo: Some(repository),
            tag: Some(tag.to_owned()),
            changes: changes(&image.env).map_err(refused)?,
            ..CreateImageOptions::default()
        };
        let older = self.image_id(name).await?;
        let root = body_full(file_system(image.program.bytes()).into());
        let import = self.docker.create_image(Some(options), Some(root), None).try_collect::<Vec<_>>();
        self.change("import", &subject, IMPORT_LIMIT, import).await?;
        match older {
            Some(id) if self.image_id(name).await?.as_ref() != Some(&id) => self.remove_nameless_image(&id).await,
            _ => Ok(()),
        }
    }

    /// The identifier of the image that has this name, if one has.
    async fn image_id(&self, name: &ImageName) -> Result<Option<String>, EngineError> {
        let subject = name.to_string();
        match self.read("inspect image", &subject, || self.docker.inspect_image(&subject)).await {
            Ok(image) => image.id.map(Some).ok_or_else(|| missing("inspect image", &subject, "Id")),
            Err(EngineError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn remove_nameless_image(&self, id: &str) -> Result<(), EngineError> {
        if self.images().await?.iter().any(|image| image.id == id && !image.names.is_empty()) {
            return Ok(());
        }
        let call = self.docker.remove_image(id, None::<RemoveImageOptions>, None);
        match self.change("remove image", id, CHANGE_LIMIT, call).await {
            // In use, or somebody else removed it.
            Ok(_) | Err(EngineError::Conflict { .. } | EngineError::NotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// The image's configuration as the import call takes it: instructions in the engine's build language.
fn changes(env: &[(String, String)]) -> Result<Vec<String>, String> {
    let mut changes = vec![format!("ENTRYPOINT [\"/{PROGRAM_PATH}\"]")];
    for (name, value) in env {
        let sound = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if name.is_empty() || !name.bytes().all(sound) {
            return Err(format!("environment variable {name:?}: expected letters, digits and '_'"));
        }
        // Inside double quotes the build language gives a meaning to these three and to the line's end.
        if value.contains(['\n', '\r']) {
            return Err(format!("environment variable {name}: a value of several lines cannot be put into an image"));
        }
        let quoted = value.replace('\\', "\\\\").replace('"', "\\\"").replace('$', "\\$");
        changes.push(format!("ENV {name}=\"{quoted}\""));
    }
    Ok(changes)
}

/// The image's whole file system: the program, and the folders that programs and the engine expect.
fn file_system(program: &[u8]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::with_capacity(program.len() + 4096));
    let mut add = |path: &str, kind: tar::EntryType, mode: u32, content: &[u8]| {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(content.len() as u64);
        // Time and owner stay zero, so that the same program always makes the same layer.
        header.set_mtime(0);
        header.set_uid(0);
        header.set_gid(0);
        archive.append_data(&mut header, path, content).expect("writing to memory cannot fail and the paths are short");
    };
    for (folder, mode) in [("etc/", 0o755), ("tmp/", 0o1777)] {
        add(folder, tar::EntryType::Directory, mode, &[]);
    }
    add(PROGRAM_PATH, tar::EntryType::Regular, 0o755, program);
    archive.into_inner().expect("writing to memory cannot fail")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_program_makes_the_same_layer() {
        assert_eq!(file_system(b"program"), file_system(b"program"));
        let bytes = file_system(b"program");
        let mut archive = tar::Archive::new(bytes.as_slice());
        let paths: Vec<_> = archive
            .entries()
            .expect("an archive")
            .map(|entry| entry.expect("an entry").path_bytes().to_vec())
            .collect();
        assert_eq!(paths, [b"etc/".to_vec(), b"tmp/".to_vec(), b"app".to_vec()]);
    }

    #[test]
    fn a_value_in_an_image_cannot_become_an_instruction() {
        let env = |value: &str| changes(&[("A".to_owned(), value.to_owned())]);
        assert_eq!(env(r#"a "b" $c \d"#).expect("one line")[1], r#"ENV A="a \"b\" \$c \\d""#);
        assert!(env("x\nENTRYPOINT [\"/evil\"]").is_err());
        assert!(changes(&[("A B".to_owned(), String::new())]).is_err());
    }
}
