//! Drives labs and checks: each step named before it runs, each result reported, in the order of the labs.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context, Error, Result, bail};
use clikit::print;
use futures::{StreamExt, stream};
use lab_cli::{LabRange, Obstacle};
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use crate::{
    check::Check,
    error::{CheckFailed, unfit},
    finding::Finding,
    labs::Lab,
    live::{self, Live},
    outcome::Outcome,
    report::{Record, Report},
    steps::Step,
    wait::{self, NotYet},
    workshop::Workshop,
};

/// How long one look may take: lab 1's check runs a probe for some seconds.
const PATIENCE: Duration = Duration::from_secs(20);

/// How often a step that runs is asked whether it can still end well.
const LOOK: Duration = Duration::from_secs(1);

/// What a step's own wait may take beyond the limit to say what it waited for.
const GRACE: Duration = Duration::from_secs(5);

/// Runs labs in order, each followed by its checks.
///
/// Most of a first run is waiting for pods. So the steps of the next labs run while the checks of one wait, and what is
/// applied early is ready early; what is printed stays in the order of the labs.
pub async fn labs(workshop: &impl Workshop, range: LabRange, report: &mut Report) -> Result<()> {
    let (tell, mut told) = mpsc::unbounded_channel();
    // A task of its own, because some steps block; it ends with whoever waits for it.
    let _running = AbortOnDropHandle::new(tokio::spawn(run_ahead(workshop.clone(), range, tell)));
    for number in range.iter() {
        let lab = workshop.lab(number);
        report.begin(&lab);
        for _ in &lab.steps {
            let Ended { record, error } = told.recv().await.context("a step ended without a word")?;
            report.add(record);
            if let Some(error) = error {
                explain_folder(workshop, number).await;
                return Err(error);
            }
        }
        check(workshop, &lab, workshop.patience(), report, true).await?;
    }
    Ok(())
}

/// The steps of labs, one after the other, until one fails or nobody listens any more.
async fn run_ahead<W: Workshop>(workshop: W, range: LabRange, tell: mpsc::UnboundedSender<Ended>) {
    for number in range.iter() {
        let steps = workshop.lab(number).steps;
        for index in 0..steps.len() {
            let ended = run_step(&workshop, number, &steps, index).await;
            let failed = ended.error.is_some();
            if tell.send(ended).is_err() || failed {
                return;
            }
        }
    }
}

/// Runs the checks of labs; all labs are looked at, whatever the first ones say, unless there is nobody to ask.
pub async fn checks(workshop: &impl Workshop, range: LabRange, wait: Duration, report: &mut Report) -> Result<()> {
    let mut failed = None;
    for number in range.iter() {
        let lab = workshop.lab(number);
        // The workshop's script is silent when the cluster is ready.
        let quiet = range.first == range.last && number == 2;
        if !quiet {
            report.begin(&lab);
        }
        if let Err(error) = check(workshop, &lab, wait, report, !quiet).await {
            let nobody_answers = error.downcast_ref().is_some_and(|failed: &CheckFailed| failed.unreachable);
            failed.get_or_insert(error);
            if nobody_answers && number < range.last {
                live::say("the other labs were not looked at: the cluster does not answer");
                break;
            }
        }
    }
    failed.map_or(Ok(()), Err)
}

/// Runs steps in order; stops at the first that fails.
pub async fn steps<W: Workshop>(workshop: &W, lab: u8, steps: &[Step<W>], report: &mut Report) -> Result<()> {
    for index in 0..steps.len() {
        let Ended { record, error } = run_step(workshop, lab, steps, index).await;
        report.add(record);
        if let Some(error) = error {
            return Err(error);
        }
    }
    Ok(())
}

/// What became of a step.
struct Ended {
    record: Record,
    error: Option<Error>,
}

async fn run_step<W: Workshop>(workshop: &W, lab: u8, steps: &[Step<W>], index: usize) -> Ended {
    let step = &steps[index];
    let live = Live::new(format!("[{}/{}] {}", index + 1, steps.len(), step.title));
    let started = Instant::now();
    let outcome = bounded(workshop, step, &live).await;
    live.finish();
    let record = Record::step(lab, index + 1, steps.len(), step, started.elapsed());
    match outcome {
        Ok(outcome) => Ended { record: record.done(outcome), error: None },
        Err(error) => Ended {
            record: record.failed(crate::error::message(&error), None),
            error: Some(error.context(format!("lab {lab}: could not {}", step.title))),
        },
    }
}

/// Runs a step for at most `--timeout`. A wait within it that ends just then is heard first: it knows what was missing.
async fn bounded<W: Workshop>(workshop: &W, step: &Step<W>, live: &Live) -> Result<Outcome> {
    let run = async {
        tokio::select! {
            outcome = (step.run)(workshop, live) => outcome,
            obstacle = hopeless(workshop) => Err(unfit(obstacle.what, obstacle.fix)),
        }
    };
    if step.unbounded {
        return run.await;
    }
    let limit = workshop.options().timeout;
    let cut = wait::within(limit + GRACE, run).await;
    cut.unwrap_or_else(|| bail!("timed out after {} s; raise it with --timeout", limit.as_secs()))
}

/// Returns once something of the cluster keeps ending while the step waits for it. What was so before may be fixed.
async fn hopeless(workshop: &impl Workshop) -> Obstacle {
    let before = workshop.ails();
    wait::found(LOOK, || workshop.ails().filter(|obstacle| before.as_ref() != Some(obstacle))).await
}

/// Polls a lab's checks, side by side, until each passes or the time is up for all of them.
async fn check<W: Workshop>(workshop: &W, lab: &Lab<W>, wait: Duration, report: &mut Report, loud: bool) -> Result<()> {
    let asked = lab.checks.iter().map(|check| async move {
        let started = Instant::now();
        let result = ask(workshop, check, wait).await;
        (result, started.elapsed())
    });
    let mut results = stream::iter(asked).buffered(lab.checks.len().max(1)).enumerate();
    let (mut failed, mut unreachable) = (0, false);
    while let Some((index, (result, took))) = results.next().await {
        let record = Record::check(lab.number, index + 1, lab.checks.len(), &lab.checks[index], took);
        match result {
            Ok(()) if loud => report.add(record.done(Outcome::Unchanged)),
            Ok(()) => report.add_quietly(record.done(Outcome::Unchanged)),
            Err(finding) => {
                failed += 1;
                unreachable |= finding.unreachable;
                report.add(record.failed(finding.to_string(), Some(finding)));
            }
        }
    }
    drop(results);
    if failed == 0 {
        return Ok(());
    }
    explain_folder(workshop, lab.number).await;
    Err(CheckFailed { lab: lab.number, failed, total: lab.checks.len(), unreachable }.into())
}

/// One check, asked again until it passes or `wait` has passed; without a wait it is asked once.
async fn ask<W: Workshop>(workshop: &W, check: &Check<W>, wait: Duration) -> Result<(), Finding> {
    let live = Live::new(check.title.clone());
    let latest = Mutex::new(None);
    let polled = wait::poll_patiently(&check.title, wait, PATIENCE, &live, || async {
        (check.run)(workshop, &live).await.map_err(|finding| {
            let words = finding.to_string();
            *latest.lock().unwrap_or_else(PoisonError::into_inner) = Some(finding);
            NotYet::Because(words)
        })
    })
    .await;
    live.finish();
    let latest = latest.into_inner().unwrap_or_else(PoisonError::into_inner);
    let silent =
        |error| Finding::new(check.title.clone(), "no answer").because(crate::error::message(&error)).cluster_down();
    polled.map_err(|error| latest.unwrap_or_else(|| silent(error)))
}

async fn explain_folder(workshop: &impl Workshop, lab: u8) {
    match workshop.diagnostics(lab).await.context("failed to collect diagnostics") {
        Ok(folder) => live::say(&format!("diagnostics: {}", folder.display())),
        Err(error) => live::say(&format!("warning: {}", crate::error::message(&error))),
    }
}

/// `--explain`: every step and its equivalent in a shell; nothing runs.
pub fn explain(workshop: &impl Workshop, range: LabRange) -> Result<()> {
    for number in range.iter() {
        let lab = workshop.lab(number);
        let steps: String = lab.steps.iter().map(|step| format!("\n# {}\n{}\n", step.title, step.shell)).collect();
        let checks: String = lab.checks.iter().map(|check| format!("#   {}\n", check.title)).collect();
        print::lines(format!("# lab {number}: {}\n{steps}\n# done when\n{checks}", lab.title))?;
    }
    Ok(())
}
