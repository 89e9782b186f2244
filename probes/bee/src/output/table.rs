//! A live table per map on a terminal: the latest events, the largest counts. `q` or Ctrl-C ends it.

use std::collections::VecDeque;
use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use ratatui::crossterm::event::{self, Event, KeyCode, KeyModifiers};
use ratatui::layout::{Constraint, Layout as Split, Rect};
use ratatui::style::{Style, Stylize};
use ratatui::text::Line;
use ratatui::widgets::{Block, Row, Table};
use ratatui::{DefaultTerminal, Frame};

use crate::object::{Kind, Source};
use crate::probe::Probe;
use crate::run::{End, Error, RunOptions, Running, consume};
use crate::series::Exported;

/// How often the picture is drawn anew.
const FRAME: Duration = Duration::from_millis(250);
/// Printed events that are kept for the table.
const KEPT: usize = 200;

/// A line of a table.
type Fields = Vec<String>;
/// The newest printed events of each map, by its name.
type Latest = Mutex<VecDeque<(String, Fields)>>;

/// Shows the probe until its end; the terminal is then as it was.
pub fn show(options: &RunOptions, attached: &str, probe: &Probe, running: &Running, end: &End) -> Result<(), Error> {
    let mut terminal = ratatui::try_init().map_err(Error::Output)?;
    let latest = Latest::default();
    let each = |exported: &Exported, record: &[u8]| remember(&latest, running, exported, record);
    let mut drawn = None;
    let mut round = || {
        if drawn.is_none_or(|at: Instant| at.elapsed() >= FRAME) {
            drawn = Some(Instant::now());
            draw(&mut terminal, options, attached, running, &latest)?;
        }
        Ok(!asked_to_end()?)
    };
    // Iterators run, so that the maps they fill are shown; their text has no columns.
    let result = consume(probe, running, end, &each, &|_, _| {}, &mut round);
    ratatui::restore();
    result
}

fn remember(latest: &Latest, running: &Running, exported: &Exported, record: &[u8]) {
    if exported.map.kind == Kind::Print && running.shows(exported, record) {
        let mut latest = latest.lock().unwrap_or_else(PoisonError::into_inner);
        latest.push_front((exported.map.name.clone(), exported.labels.values(record)));
        latest.truncate(KEPT);
    }
}

/// In raw mode Ctrl-C comes as a key.
fn asked_to_end() -> io::Result<bool> {
    while event::poll(Duration::ZERO)? {
        if let Event::Key(key) = event::read()? {
            let interrupt = key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
            if interrupt || key.code == KeyCode::Char('q') {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

fn draw(
    terminal: &mut DefaultTerminal,
    options: &RunOptions,
    attached: &str,
    running: &Running,
    latest: &Latest,
) -> io::Result<()> {
    let maps: Vec<_> = running.maps.iter().map(|exported| (exported, rows(running, exported, latest))).collect();
    let empty = maps.iter().all(|(_, rows)| rows.is_empty());
    let state = if empty {
        format!("{attached}; waiting; in a second terminal: curl localhost:{}/metrics", options.port)
    } else {
        format!("{attached}; metrics: localhost:{}/metrics; q ends", options.port)
    };
    terminal.draw(|frame| picture(frame, &options.name, &state, &maps))?;
    Ok(())
}

fn picture(frame: &mut Frame, name: &str, state: &str, maps: &[(&Exported, Vec<Fields>)]) {
    let mut heights = vec![Constraint::Length(1)];
    heights.extend(maps.iter().map(|_| Constraint::Fill(1)));
    let areas = Split::vertical(heights).split(frame.area());
    frame.render_widget(Line::from(format!("{name}  {state}")).bold(), areas[0]);
    for ((exported, rows), area) in maps.iter().zip(&areas[1..]) {
        map_table(frame, exported, rows, *area);
    }
}

fn map_table(frame: &mut Frame, exported: &Exported, rows: &[Fields], area: Rect) {
    let block = Block::bordered().title(format!(" {} ({}) ", exported.map.name, rows.len()));
    let Some(first) = rows.first() else {
        frame.render_widget(block, area);
        return;
    };
    let names = exported.labels.names().chain(["value"]).take(first.len());
    let names = Row::new(names.map(str::to_owned)).style(Style::new().bold());
    let widths = vec![Constraint::Fill(1); first.len()];
    let lines = rows.iter().cloned().map(Row::new);
    frame.render_widget(Table::new(lines, widths).header(names).block(block), area);
}

/// Printed maps show their newest events, metrics their largest values first.
fn rows(running: &Running, exported: &Exported, latest: &Latest) -> Vec<Fields> {
    if exported.map.kind == Kind::Print && matches!(exported.map.source, Source::Events(_)) {
        let latest = latest.lock().unwrap_or_else(PoisonError::into_inner);
        return latest.iter().filter(|(map, _)| *map == exported.map.name).map(|(_, fields)| fields.clone()).collect();
    }
    let row = |(mut labels, value): (Fields, i128)| {
        labels.push(value.to_string());
        labels
    };
    exported.largest(KEPT, &|key| running.shows(exported, key)).unwrap_or_default().into_iter().map(row).collect()
}
