//! Running a command inside a container that runs already.

use std::time::Duration;

use bollard::{
    exec::{CreateExecOptions, StartExecOptions, StartExecResults},
    models::ExecInspectResponse,
};
use futures_util::TryStreamExt;

use super::{
    ContainerId, Engine, EngineError,
    engine::{READ_LIMIT, missing},
};

/// So much of what a command writes is kept.
///
/// Source: `maxReadLength`, pkg/probe/exec/exec.go (v1.34.1).
const OUTPUT_BYTES_MAX: usize = 10 * 1024;

impl Engine {
    /// Runs a command in a running container and gives its exit code and the first 10 KiB of what it has
    /// written, standard error among it; what is no UTF-8 in that is replaced.
    ///
    /// `TimedOut`: it took longer than `limit`; the engine cannot end it, so it goes on. `Conflict`: the container does
    /// not run. A command that does not exist has the code 126 or 127.
    pub async fn exec(
        &self,
        id: &ContainerId,
        command: &[String],
        limit: Duration,
    ) -> Result<(i64, String), EngineError> {
        let subject = id.to_string();
        let options = CreateExecOptions {
            cmd: Some(command.to_vec()),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            ..CreateExecOptions::default()
        };
        let made = self.change("exec", &subject, READ_LIMIT, self.docker.create_exec(&id.0, options)).await?;
        let mut written = Vec::new();
        let run = async {
            match self.docker.start_exec(&made.id, None::<StartExecOptions>).await? {
                // The output ends when the command does.
                StartExecResults::Attached { mut output, .. } => {
                    while let Some(piece) = output.try_next().await? {
                        let room = OUTPUT_BYTES_MAX - written.len();
                        written.extend(piece.into_bytes().into_iter().take(room));
                    }
                }
                StartExecResults::Detached => {}
            }
            Ok(())
        };
        self.change("exec", &subject, limit, run).await?;
        let ExecInspectResponse { exit_code, .. } =
            self.read("inspect exec", &subject, || self.docker.inspect_exec(&made.id)).await?;
        let code = exit_code.ok_or_else(|| missing("inspect exec", &subject, "ExitCode"))?;
        Ok((code, String::from_utf8_lossy(&written).into_owned()))
    }
}
