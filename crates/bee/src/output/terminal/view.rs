//! The screen: which maps and iterators there are, the rows of one, and below what the probe lost and costs.

use clikit::escaped;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout};
use ratatui::style::{Style, Stylize};
use ratatui::text::Line;
use ratatui::widgets::{Row, Table, Tabs};

use crate::output::terminal::keys::{Choices, HELP};

/// Everything that is on the screen.
pub struct Picture<'a> {
    /// The probe, and where its metrics are.
    pub title: &'a str,
    pub tabs: Vec<String>,
    pub choices: &'a Choices,
    pub columns: Vec<String>,
    /// The rows that fit the choices.
    pub rows: Vec<&'a [String]>,
    /// How many rows there are.
    pub all: usize,
    pub losses: String,
    pub costs: String,
}

pub fn draw(frame: &mut Frame, picture: &Picture) {
    let heights = [Constraint::Length(1), Constraint::Length(1), Constraint::Fill(1), Constraint::Length(3)];
    let [title, tabs, table, footer] = Layout::vertical(heights).areas(frame.area());

    frame.render_widget(Line::from(escaped(picture.title)).bold(), title);
    let names = Tabs::new(picture.tabs.iter().map(|name| printable(name))).select(picture.choices.tab);
    frame.render_widget(names, tabs);

    let rows = visible(picture, table.height).iter().map(|row| Row::new(row.iter().map(|value| printable(value))));
    let header = Row::new(picture.columns.iter().map(|name| printable(name))).style(Style::new().bold().underlined());
    let widths = vec![Constraint::Fill(1); picture.columns.len()];
    frame.render_widget(Table::new(rows, widths).header(header), table);

    let lines = [Line::from(state(picture)), Line::from(escaped(&picture.costs)), Line::from(HELP).dim()];
    for (line, area) in lines.into_iter().zip(footer.rows()) {
        frame.render_widget(line, area);
    }
}

fn printable(text: &str) -> String {
    escaped(text).into_owned()
}

/// Only what is on the screen becomes a row: a map may have a hundred thousand.
fn visible<'a>(picture: &'a Picture, height: u16) -> &'a [&'a [String]] {
    let rows = &picture.rows;
    let first = picture.choices.offset.min(rows.len().saturating_sub(1));
    &rows[first..rows.len().min(first + usize::from(height))]
}

fn state(picture: &Picture) -> String {
    let Choices { paused, find, typing, .. } = picture.choices;
    let shown = match find.as_str() {
        "" if !typing => format!("{} rows", picture.all),
        find => {
            format!("{} of {} rows with \"{find}{}", picture.rows.len(), picture.all, if *typing { "_" } else { "\"" })
        }
    };
    let paused = if *paused { "PAUSED  " } else { "" };
    format!("{paused}{shown}  {}", picture.losses)
}

#[cfg(test)]
mod tests {
    use ratatui::{Terminal, backend::TestBackend};

    use super::*;

    fn picture<'a>(rows: &'a [Vec<String>], choices: &'a Choices) -> Picture<'a> {
        Picture {
            title: "tcpconnect:v1  attached (kprobe); metrics: localhost:9091/metrics",
            tabs: ["events_ring", "events_hash"].map(str::to_owned).to_vec(),
            choices,
            columns: ["daddr", "saddr", "value", "per second"].map(str::to_owned).to_vec(),
            rows: rows.iter().map(Vec::as_slice).collect(),
            all: rows.len(),
            losses: "lost: 0".to_owned(),
            costs: "connect___kprobe: 12 runs/s, 310 ns a run".to_owned(),
        }
    }

    fn drawn(width: u16, height: u16, rows: &[Vec<String>], choices: &Choices) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, &picture(rows, choices))).unwrap();
        terminal.backend().to_string()
    }

    fn rows(count: usize) -> Vec<Vec<String>> {
        let row = |n: usize| vec![format!("10.0.0.{}", n % 250), "10.0.0.1".to_owned(), n.to_string(), "0".to_owned()];
        (0..count).map(row).collect()
    }

    #[test]
    fn the_screen_shows_one_map_what_was_lost_and_what_it_costs() {
        insta::assert_snapshot!(drawn(78, 10, &rows(3), &Choices { tab: 1, ..Choices::default() }));
    }

    /// A5 #18: BumbleBee keeps every event and draws all of them each time.
    #[test]
    fn a_hundred_thousand_rows_and_any_size_are_drawn() {
        let rows = rows(100_000);
        let far = Choices { offset: 99_990, paused: true, find: "10".into(), typing: true, ..Choices::default() };
        for (width, height) in [(1, 1), (3, 4), (80, 24), (500, 200)] {
            drawn(width, height, &rows, &far);
        }
        let screen = drawn(80, 12, &rows, &far);
        assert!(screen.contains("99990") && screen.contains("PAUSED") && screen.contains("with \"10_"), "{screen}");
        assert_eq!(visible(&picture(&rows, &far), 200).len(), 10);
        assert_eq!(visible(&picture(&rows, &Choices::default()), 24).len(), 24, "only what is seen is laid out");
        assert_eq!(visible(&picture(&[], &far), 24).len(), 0);
    }
}
