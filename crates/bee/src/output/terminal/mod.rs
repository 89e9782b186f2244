//! The live picture of a run on a terminal: a tab for each map and each iterator. `q` or Ctrl-C ends it.

mod keys;
mod rows;
mod view;

use std::cell::RefCell;
use std::io;
use std::time::{Duration, Instant};

use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event};

use crate::export::map::Exported;
use crate::export::state::Running;
use crate::kernel::map_reader::Elements;
use crate::kernel::prog_stats::Account;
use crate::kernel::trace_pipe::Line;
use crate::object::Kind;
use crate::output::{Output, Title};
use keys::{Choices, Wish};
use rows::{Latest, Rows, Tab};
use view::Picture;

/// How often the picture is drawn anew, and the map that it shows is read.
const FRAME: Duration = Duration::from_millis(250);
const READ: Duration = Duration::from_secs(1);
/// Reading a large map takes at most this part of a processor's time.
const SHARE: u32 = 20;

/// A run on the terminal, which is as it was before when this is dropped.
pub struct Table<'a> {
    running: &'a Running,
    latest: RefCell<Latest>,
    screen: RefCell<Screen<'a>>,
    terminal: RefCell<DefaultTerminal>,
}

impl<'a> Table<'a> {
    pub fn open(title: &Title, running: &'a Running) -> io::Result<Self> {
        let terminal = RefCell::new(ratatui::try_init()?);
        let screen = RefCell::new(Screen::new(title, running));
        let latest = RefCell::new(Latest::new(&running.accounts.kept));
        Ok(Self { running, latest, screen, terminal })
    }
}

impl Output for Table<'_> {
    fn event(&self, map: usize, record: &[u8]) {
        let exported = &self.running.maps[map];
        if exported.map.kind == Kind::Print && exported.has_some_of(record) && self.running.shows(exported, record) {
            self.latest.borrow_mut().add(Tab::Map(map), exported.labels.values(record));
        }
    }

    /// It reads those of the map that is looked at itself.
    fn wants(&self, _: usize) -> bool {
        false
    }

    fn elements(&self, _: usize, _: &Elements) {}

    fn text(&self, probe: usize, program: &str, text: &str) {
        // A recording may name programs of which there is no tab.
        let has_tab =
            self.running.probes.get(probe).is_some_and(|it| it.iterators.iter().any(|known| known == program));
        if has_tab {
            self.latest.borrow_mut().write(probe, program, text);
        }
    }

    fn trace(&self, line: &Line) {
        if self.running.trace_pipe {
            let program = line.whose.as_ref().map_or("", |(_, program)| program);
            let row = vec![program.to_owned(), line.process(), line.text.clone()];
            self.latest.borrow_mut().add(Tab::TracePipe, row);
        }
    }

    fn round(&self) -> io::Result<bool> {
        let mut screen = self.screen.borrow_mut();
        let wish = screen.keys()?;
        if screen.is_due() {
            screen.draw(&self.latest.borrow(), &mut self.terminal.borrow_mut())?;
        }
        Ok(wish == Wish::GoOn)
    }

    /// Above, beside what the title says.
    fn notice(&self, text: &str) {
        let mut screen = self.screen.borrow_mut();
        screen.title = format!("{}  {text}", screen.title);
    }
}

impl Drop for Table<'_> {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

/// What is shown, and what it was made of.
struct Screen<'a> {
    running: &'a Running,
    title: String,
    waiting: String,
    tabs: Vec<Tab>,
    choices: Choices,
    rows: Rows,
    /// Which tab the rows are of, when they are to be read again.
    of: usize,
    read_at: Instant,
    drawn: Option<Instant>,
    /// The programs' accounts when the rows were read, and what they say since the time before.
    accounts: (Instant, Vec<Account>),
    costs: String,
}

impl<'a> Screen<'a> {
    fn new(title: &Title, running: &'a Running) -> Self {
        let now = Instant::now();
        Self {
            running,
            title: title.heading(),
            waiting: format!("waiting; in a second terminal: curl {}", title.metrics()),
            tabs: Tab::all(running),
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
                Event::Key(key) if self.choices.take(key, self.tabs.len()) == Wish::End => {
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

    fn draw(&mut self, latest: &Latest, terminal: &mut DefaultTerminal) -> io::Result<()> {
        if self.of != self.choices.tab {
            (self.rows, self.of, self.read_at) = (Rows::default(), self.choices.tab, Instant::now());
        }
        if !self.choices.paused && Instant::now() >= self.read_at {
            self.read(latest);
        }
        let rows = self.rows.with(&self.choices.find);
        let picture = Picture {
            title: &self.title,
            tabs: self.tabs.iter().map(|tab| tab.title(self.running)).collect(),
            choices: &self.choices,
            columns: self.rows.columns.clone(),
            rows,
            all: self.rows.rows.len(),
            losses: if self.rows.rows.is_empty() { self.waiting.clone() } else { self.losses() },
            costs: self.costs.clone(),
        };
        terminal.draw(|frame| view::draw(frame, &picture))?;
        self.drawn = Some(Instant::now());
        Ok(())
    }

    fn read(&mut self, latest: &Latest) {
        let began = Instant::now();
        if let Some(tab) = self.tabs.get(self.choices.tab) {
            self.rows = Rows::read(self.running, tab, latest, &self.rows);
        }
        let interval = if self.map().is_some_and(|exported| exported.map.kind != Kind::Print) { READ } else { FRAME };
        self.read_at = began + interval.max(began.elapsed() * SHARE);
        self.costs();
    }

    /// The map that is looked at, if it is one.
    fn map(&self) -> Option<&Exported> {
        let Tab::Map(map) = self.tabs.get(self.choices.tab)? else { return None };
        self.running.maps.get(*map)
    }

    fn losses(&self) -> String {
        let Some(exported) = self.map() else { return String::new() };
        let lost = self.running.lost(exported);
        lost.map_or_else(|| "lost: not counted by this probe".to_owned(), |lost| format!("lost: {lost}"))
    }

    /// What the programs cost since they were last asked, if the kernel takes their time.
    fn costs(&mut self) {
        let (now, accounts) = (Instant::now(), self.accounts());
        let seconds = (now - self.accounts.0).as_secs_f64();
        let mut costs = vec![];
        for ((name, account), before) in accounts.iter().zip(&self.accounts.1) {
            if let Some(cost) = cost(account, before, seconds) {
                costs.push(format!("{name}: {cost}"));
            }
        }
        self.costs = costs.join("  ");
        self.accounts = (now, accounts.into_iter().map(|(_, account)| account).collect());
    }

    fn accounts(&self) -> Vec<(String, Account)> {
        self.running.probes.iter().flat_map(|probe| probe.programs.accounts()).collect()
    }
}

fn cost(account: &Account, before: &Account, seconds: f64) -> Option<String> {
    let runs = account.runs.checked_sub(before.runs)?;
    let time = account.run_time.checked_sub(before.run_time)?;
    let each = time.as_nanos().checked_div(runs.into()).map(|each| format!(", {each} ns a run"));
    Some(format!("{:.0} runs/s{}", runs as f64 / seconds, each.unwrap_or_default()))
}
