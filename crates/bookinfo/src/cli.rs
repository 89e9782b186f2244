//! The command line; its doc comments are the help texts.

use std::net::SocketAddr;

use clap::{Args, Parser, ValueEnum};
use reqwest::Url;

/// The four Bookinfo services as one program.
#[derive(Debug, Parser)]
#[command(name = "bookinfo", max_term_width = 110, disable_help_subcommand = true)]
#[command(after_help = "\
A service finds the others by their names, or by the variables of Istio's original: DETAILS_HOSTNAME, \
DETAILS_SERVICE_PORT (likewise for RATINGS and REVIEWS) and SERVICES_DOMAIN.")]
pub enum Command {
    /// The page of a book; asks details and reviews.
    Productpage(Listen),
    /// A book's publisher, pages and ISBN.
    Details(Listen),
    /// A book's reviews; v2 and v3 ask ratings for stars.
    Reviews {
        #[command(flatten)]
        listen: Listen,
        /// v1 has no stars, v2 black ones, v3 red ones; ENABLE_RATINGS and STAR_COLOR overrule it.
        #[arg(long, value_enum, env = "SERVICE_VERSION", hide_env_values = true, default_value = "v1")]
        version: Version,
    },
    /// A book's stars.
    Ratings(Listen),
    /// Make requests and print each one's status.
    ///
    /// One line per request, 000 if nobody answered. Fails unless each line is 200.
    Get {
        /// What to request, over plain HTTP.
        url: Url,
        /// How many requests to make, one after the other, each on a new connection.
        #[arg(long, value_name = "N", default_value = "1")]
        repeat: u32,
    },
}

#[derive(Debug, Args)]
pub struct Listen {
    /// Where to listen; port 0 picks a free one. Given more than once, the first that can be had [default: [::]:9080, or
    /// 0.0.0.0:9080 where IPv6 is off]
    #[arg(long, value_name = "ADDR")]
    listen: Vec<SocketAddr>,
}

impl Listen {
    /// The addresses to try in turn.
    pub fn addresses(self) -> Vec<SocketAddr> {
        if !self.listen.is_empty() {
            return self.listen;
        }
        vec![SocketAddr::from(([0u16; 8], 9080)), SocketAddr::from(([0u8; 4], 9080))]
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Version {
    V1,
    V2,
    V3,
}
