//! Runs a program in a pod, as `kubectl exec` does.

use anyhow::{Context, Result, bail};
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, Client, api::AttachParams};
use tokio::io::{AsyncRead, AsyncReadExt};

/// What a pod may answer; more is cut off.
const MOST: u64 = 1 << 20;

#[derive(Debug)]
pub struct Output {
    pub stdout: String,
    pub stderr: String,
    pub exit_code: i32,
}

/// Runs to the end and answers what the program wrote and how it ended.
pub async fn run(client: &Client, namespace: &str, pod: &str, command: &[String]) -> Result<Output> {
    let api: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let params = AttachParams::default();
    let mut process =
        api.exec(pod, command, &params).await.with_context(|| format!("failed to start a program in pod {pod}"))?;
    let status = process.take_status().context("the exec stream has no status")?;
    // `join` would drop what was not read yet, so the output comes first.
    let (stdout, stderr) = (process.stdout(), process.stderr());
    let (stdout, stderr) = tokio::join!(text(stdout), text(stderr));
    let status = status.await.with_context(|| format!("the connection to pod {pod} broke off"))?;
    // The status is all that counts: how the stream was closed is the server's business.
    let _ = process.join().await;
    let exit_code = match &status.status {
        Some(word) if word == "Success" => 0,
        _ => {
            let causes = status.details.iter().flat_map(|details| details.causes.iter().flatten());
            let code = causes
                .filter(|cause| cause.reason.as_deref() == Some("ExitCode"))
                .find_map(|cause| cause.message.clone());
            match code.and_then(|code| code.parse().ok()) {
                Some(code) => code,
                None => bail!("run {} in pod {pod}: {}", command.join(" "), status.message.unwrap_or_default()),
            }
        }
    };
    Ok(Output { stdout: stdout?, stderr: stderr?, exit_code })
}

async fn text(stream: Option<impl AsyncRead + Unpin>) -> Result<String> {
    let mut bytes = vec![];
    if let Some(mut stream) = stream {
        (&mut stream).take(MOST).read_to_end(&mut bytes).await.context("failed to read the program's output")?;
        // The rest is read as well, or a program that writes more would never end.
        tokio::io::copy(&mut stream, &mut tokio::io::sink()).await.context("failed to read the program's output")?;
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
