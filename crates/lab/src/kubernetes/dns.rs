//! A name looked up in the cluster's DNS, by a real query to a CoreDNS pod, carried by a port forward: no pod of our
//! own has to run for it, and no route into the cluster is needed.

use std::net::Ipv4Addr;

use anyhow::{Context, Result, bail};
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, Client, ResourceExt, api::ListParams};
use simple_dns::{CLASS, Name, Packet, Question, RCODE, TYPE, rdata::RData};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::pods;

const NAMESPACE: &str = "kube-system";
/// The label is the same for CoreDNS and its predecessor, on every distribution.
const SELECTOR: &str = "k8s-app=kube-dns";

/// The IPv4 addresses of a name, asked of one ready DNS pod.
pub async fn look_up(client: &Client, name: &str) -> Result<Vec<Ipv4Addr>> {
    let api: Api<Pod> = Api::namespaced(client.clone(), NAMESPACE);
    let all = api.list(&ListParams::default().labels(SELECTOR)).await.context("failed to list the DNS pods")?;
    let Some(pod) = all.iter().find(|pod| pods::is_ready(pod)) else {
        bail!("none of the {} DNS pods is ready (label {SELECTOR} in {NAMESPACE})", all.items.len());
    };
    let mut forward = api.portforward(&pod.name_any(), &[53]).await.context("failed to reach the DNS pod")?;
    let mut stream = forward.take_stream(53).context("failed to reach the DNS pod")?;
    // Over TCP a message goes behind its length (RFC 1035, 4.2.2).
    let query = query(name)?;
    stream.write_all(&u16::try_from(query.len())?.to_be_bytes()).await.context("failed to ask the DNS pod")?;
    stream.write_all(&query).await.context("failed to ask the DNS pod")?;
    let length = stream.read_u16().await.context("the DNS pod does not answer")?;
    let mut answer = vec![0; length.into()];
    stream.read_exact(&mut answer).await.context("the DNS pod broke off its answer")?;
    drop(stream);
    forward.abort();
    addresses(&answer).with_context(|| format!("failed to look up {name}"))
}

fn query(name: &str) -> Result<Vec<u8>> {
    let mut packet = Packet::new_query(1);
    packet.questions.push(Question::new(Name::new(name)?, TYPE::A.into(), CLASS::IN.into(), false));
    Ok(packet.build_bytes_vec()?)
}

fn addresses(answer: &[u8]) -> Result<Vec<Ipv4Addr>> {
    let packet = Packet::parse(answer).context("invalid DNS response")?;
    if packet.rcode() != RCODE::NoError {
        bail!("the DNS answers {:?}", packet.rcode());
    }
    let address = |record: &simple_dns::ResourceRecord<'_>| match &record.rdata {
        RData::A(a) => Some(Ipv4Addr::from(a.address)),
        _ => None,
    };
    Ok(packet.answers.iter().filter_map(address).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use simple_dns::{ResourceRecord, rdata::A};

    const NAME: &str = "kubernetes.default.svc.cluster.local";

    #[test]
    fn an_answer_gives_its_addresses() {
        let mut packet = Packet::new_reply(1);
        let address = RData::A(A::from(Ipv4Addr::new(10, 1, 0, 1)));
        packet.answers.push(ResourceRecord::new(Name::new(NAME).unwrap(), CLASS::IN, 30, address));
        assert_eq!(addresses(&packet.build_bytes_vec().unwrap()).unwrap(), [Ipv4Addr::new(10, 1, 0, 1)]);
    }

    #[test]
    fn a_name_that_does_not_exist_is_an_error() {
        let mut packet = Packet::new_reply(1);
        *packet.rcode_mut() = RCODE::NameError;
        assert_eq!(addresses(&packet.build_bytes_vec().unwrap()).unwrap_err().to_string(), "the DNS answers NameError");
        assert!(addresses(b"garbage").is_err());
    }

    #[test]
    fn a_query_asks_one_question() {
        let bytes = query(NAME).unwrap();
        assert_eq!(Packet::parse(&bytes).unwrap().questions[0].qname.to_string(), NAME);
        assert!(query(&"a".repeat(64)).is_err());
    }
}
