//! The live picture of a probe on a terminal: a tab for each map. `q` or Ctrl-C ends it.

mod keys;
mod picture;
mod rows;

use std::io;
use std::time::{Duration, Instant};

use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event};

use crate::object::Kind;
use crate::probe::Probe;
use crate::programs::Account;
use crate::run::{End, Error, RunOptions, Running, consume};
use crate::series::Exported;
use keys::{Choices, Wish};
use picture::Picture;
use rows::{Latest, Rows};

/// How often the picture is drawn anew, and the map that it shows is read.
const FRAME: Duration = Duration::from_millis(250);
const READ: Duration = Duration::from_secs(1);
/// Reading a large map takes at most this part of a processor's time.
const SHARE: u32 = 20;

/// Shows the probe until its end; the terminal is then as it was.
pub fn show(options: &RunOptions, attached: &str, probe: &Probe, running: &Running, end: &End) -> Result<(), Error> {
    let mut terminal = ratatui::try_init().map_err(Error::Output)?;
    let latest = Latest::default();
    let each = |exported: &Exported, record: &[u8]| {
        if exported.map.kind == Kind::Print && running.shows(exported, record) {
            latest.add(exported, record);
        }
    };
    let mut screen = Screen::new(options, attached, running, &latest);
    let mut round = || {
        let wish = screen.keys()?;
        if screen.is_due() {
            screen.draw(&mut terminal)?;
        }
        Ok(wish == Wish::GoOn)
    };
    // Iterators run, so that the maps they fill are shown; their text has no columns.
    let result = consume(probe, running, end, &each, &|_, _| (), &mut round);
    ratatui::restore();
    result
}

/// What is shown, and what it was made of.
struct Screen<'a> {
    running: &'a Running,
    latest: &'a Latest,
    title: String,
    waiting: String,
    choices: Choices,
    rows: Rows,
    /// Which map the rows are of, when they are to be read again.
    of: usize,
    read_at: Instant,
    drawn: Option<Instant>,
    /// The programs' accounts when the rows were read, and what they say since the time before.
    accounts: (Instant, Vec<Account>),
    costs: String,
}

impl<'a> Screen<'a> {
    fn new(options: &RunOptions, attached: &str, running: &'a Running, latest: &'a Latest) -> Self {
        let now = Instant::now();
        Self {
            running,
            latest,
            title: format!("{}  metrics: localhost:{}/metrics  {attached}", options.name, options.port),
            waiting: format!("waiting; in a second terminal: curl localhost:{}/metrics", options.port),
            choices: Choices::default(),
            rows: Rows::default(),
            of: 0,
            read_at: now,
            drawn: None,
            accounts: (now, vec![]),
            costs: String::new(),
        }
    }

    fn keys(&mut self) -> io::Result<Wish> {
        while event::poll(Duration::ZERO)? {
            match event::read()? {
                Event::Key(key) if self.choices.take(key, self.running.maps.len()) == Wish::End => {
                    return Ok(Wish::End);
                }
                _ => self.drawn = None,
            }
        }
        Ok(Wish::GoOn)
    }

    fn is_due(&self) -> bool {
        self.drawn.is_none_or(|drawn| drawn.elapsed() >= FRAME)
    }

    fn draw(&mut self, terminal: &mut DefaultTerminal) -> io::Result<()> {
        let Some(exported) = self.running.maps.get(self.choices.map) else { return Ok(()) };
        if self.of != self.choices.map {
            (self.rows, self.of, self.read_at) = (Rows::default(), self.choices.map, Instant::now());
        }
        if !self.choices.paused && Instant::now() >= self.read_at {
            self.read(exported);
        }
        let rows = self.rows.with(&self.choices.find);
        let picture = Picture {
            title: &self.title,
            maps: self.running.maps.iter().map(|exported| exported.map.name.as_str()).collect(),
            choices: &self.choices,
            columns: self.rows.columns.clone(),
            rows,
            all: self.rows.rows.len(),
            losses: if self.rows.rows.is_empty() { self.waiting.clone() } else { self.losses(exported) },
            costs: self.costs.clone(),
        };
        terminal.draw(|frame| picture::draw(frame, &picture))?;
        self.drawn = Some(Instant::now());
        Ok(())
    }

    fn read(&mut self, exported: &Exported) {
        let began = Instant::now();
        self.rows = Rows::read(self.running, exported, self.latest, &self.rows);
        let interval = if exported.map.kind == Kind::Print { FRAME } else { READ };
        self.read_at = began + interval.max(began.elapsed() * SHARE);
        self.costs();
    }

    fn losses(&self, exported: &Exported) -> String {
        let lost = self.running.losses.of(&exported.map);
        lost.map_or_else(|| "lost: not counted by this probe".to_owned(), |lost| format!("lost: {lost}"))
    }

    /// What the programs cost since they were last asked, if the kernel takes their time.
    fn costs(&mut self) {
        let (now, accounts) = (Instant::now(), self.running.programs.accounts());
        let seconds = (now - self.accounts.0).as_secs_f64();
        let cost = |((name, account), before): (&(&str, Account), &Account)| {
            let runs = account.runs.checked_sub(before.runs)?;
            let time = account.run_time.checked_sub(before.run_time)?;
            let each = time.as_nanos().checked_div(runs.into()).map(|each| format!(", {each} ns a run"));
            Some(format!("{name}: {:.0} runs/s{}", runs as f64 / seconds, each.unwrap_or_default()))
        };
        let costs: Vec<_> = accounts.iter().zip(&self.accounts.1).filter_map(cost).collect();
        self.costs = costs.join("  ");
        self.accounts = (now, accounts.into_iter().map(|(_, account)| account).collect());
    }
}
