//! `real`: runs the orchestration core with this machine's Docker engine as its node.

mod commands;

use std::{fs, io, path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};
use wavetank_core::api::Refusal;
use wavetank_manifest::Errors;
use wavetank_real::{
    cluster::ClusterError,
    control::ControlError,
    docker::{Engine, EngineError, ImageName, ProgramError, ProgramImage, StaticProgram, pause_image_name},
    doctor,
};

use commands::{client::Client, up::Up};

/// Runs the orchestration core with this machine's Docker engine as its node.
#[derive(Parser)]
#[command(name = "real", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs a cluster in the foreground, with this machine as its node, until Ctrl-C.
    Up(Up),
    #[command(flatten)]
    Client(Client),
    /// Examines this machine: engine, versions, cgroups, pause image, a pod; says what to do about what is missing.
    Doctor,
    /// Lists and makes images.
    #[command(subcommand)]
    Images(Images),
}

#[derive(Subcommand)]
enum Images {
    /// Lists the images of this machine that pods can use.
    List,
    /// Makes the pause image unless it is there (`real` does so by itself when it first needs it).
    Build,
    /// Makes an image out of one static program; no registry, no Dockerfile.
    Import {
        /// Name of the image, for instance `web:v1`.
        name: ImageName,
        /// The program's file.
        program: PathBuf,
        /// Environment variables for every container of the image; can be repeated.
        #[arg(long = "env", value_name = "NAME=VALUE", value_parser = name_and_value)]
        env: Vec<(String, String)>,
    },
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    #[error(transparent)]
    Control(#[from] ControlError),
    #[error(transparent)]
    Manifest(#[from] Errors),
    #[error("{}", .0.iter().map(Refusal::to_string).collect::<Vec<_>>().join("\n"))]
    Refusals(Vec<Refusal>),
    #[error("cannot read {}: {error}", path.display())]
    File { path: PathBuf, error: io::Error },
    #[error("cannot make the directory {}: {error}", path.display())]
    Directory { path: PathBuf, error: io::Error },
    #[error("{}: {error}", path.display())]
    Program { path: PathBuf, error: ProgramError },
    #[error("cannot start the asynchronous runtime: {0}")]
    Runtime(io::Error),
    #[error("this machine cannot be a node yet; see the lines marked BAD")]
    Unfit,
}

impl Failure {
    /// The cluster has answered something else than was asked.
    fn unexpected() -> Failure {
        ControlError::NotUnderstood("another outcome than expected".to_owned()).into()
    }
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("real: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::Runtime)?;
    runtime.block_on(async {
        match command {
            Command::Up(up) => commands::up::run(up).await,
            Command::Client(client) => commands::client::run(client).await,
            Command::Doctor => examine().await,
            Command::Images(Images::List) => list_images(&Engine::connect().await?).await,
            Command::Images(Images::Build) => build_images(&Engine::connect().await?).await,
            Command::Images(Images::Import { name, program, env }) => import(&name, program, env).await,
        }
    })
}

async fn examine() -> Result<(), Failure> {
    let checks = doctor::examine().await;
    for check in &checks {
        println!("{check}");
    }
    if doctor::is_fit(&checks) { Ok(()) } else { Err(Failure::Unfit) }
}

async fn list_images(engine: &Engine) -> Result<(), Failure> {
    for image in engine.images().await? {
        for name in image.names {
            println!("{name}\t{} KiB", image.size.0.div_ceil(1024));
        }
    }
    Ok(())
}

async fn build_images(engine: &Engine) -> Result<(), Failure> {
    let made = engine.ensure_pause_image().await?;
    println!("{} {}", pause_image_name().familiar(), if made { "was made" } else { "is there already" });
    Ok(())
}

async fn import(name: &ImageName, path: PathBuf, env: Vec<(String, String)>) -> Result<(), Failure> {
    let file = fs::read(&path).map_err(|error| Failure::File { path: path.clone(), error })?;
    let program = StaticProgram::new(file).map_err(|error| Failure::Program { path, error })?;
    Engine::connect().await?.import_program(name, &ProgramImage { program, env }).await?;
    println!("{} was made", name.familiar());
    Ok(())
}

fn name_and_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("expected NAME=VALUE".to_owned()),
    }
}
