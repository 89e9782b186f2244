//! `clean` and `reset`: taking away what labs made.

use anyhow::Result;
use clikit::print;

use crate::{
    caller::as_caller, labs, live::Live, lock, number, outcome::Outcome, report::Report, run, student,
    workshop::Workshop,
};

pub async fn clean(workshop: &Workshop) -> Result<()> {
    let lock = lock::take(&workshop.paths, workshop.cluster.name())?;
    let outcome = down(workshop).await?;
    drop(lock);
    number::release(&workshop.paths, workshop.number)?;
    // The lock's folder goes last: it is empty now, or somebody else has taken the lock.
    if let Some(folder) = workshop.cluster.kubeconfig().parent() {
        as_caller(|| {
            let _ = std::fs::remove_file(folder.join("lock"));
            let _ = std::fs::remove_dir(folder);
        });
    }
    print::note(if outcome == Outcome::Changed { "removed" } else { "there was nothing to remove" });
    Ok(())
}

/// Removes the cluster if it is ours; on anybody else's, what the labs made.
pub async fn down(workshop: &Workshop) -> Result<Outcome> {
    let live = Live::new("remove the cluster");
    if !workshop.cluster.ours() {
        let mut report = Report::new(&workshop.options);
        for number in (3..=6).rev() {
            run::steps(workshop, number, &labs::lab(number, workshop).undo, &mut report).await?;
        }
    }
    let outcome = workshop.cluster.down(&live).await;
    live.finish();
    outcome
}

pub async fn reset(workshop: &Workshop, number: u8) -> Result<()> {
    let _lock = lock::take(&workshop.paths, workshop.cluster.name())?;
    match number {
        1 => forget_probes(workshop),
        2 => down(workshop).await.map(drop),
        _ => {
            let mut report = Report::new(&workshop.options);
            run::steps(workshop, number, &labs::lab(number, workshop).undo, &mut report).await
        }
    }
}

/// What lab 1 wrote into `work/` goes; what the student changed stays, and so does the store, whose images the next `lab 1`
/// replaces.
fn forget_probes(workshop: &Workshop) -> Result<()> {
    for probe in [student::PROBE, student::TCPCONNECT] {
        student::remove(&workshop.paths, probe)?;
    }
    Ok(())
}
