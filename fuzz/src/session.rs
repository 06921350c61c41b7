//! Conversations: whatever frames a relay or a peer sends in whatever order, and whatever this side does meanwhile.

use crate::Input;
use prost::bytes::Bytes;
use stemma::causal::{ActorId, ChangesetId, SpaceId, Tip};
use stemma::sync::{
    ChainRange, Frame, Login, PeerOutput, PeerSession, Proof, Session, SessionConfig, SessionOutput,
};

const SPACE: SpaceId = SpaceId([7; 32]);

/// Both kinds of session, fed with the same frames.
pub fn session(data: &[u8]) {
    let mut input = Input(data);
    let config = SessionConfig {
        space: SPACE,
        from: None,
        own: vec![ActorId([3; 32])],
        credit_bytes: 1 << 20,
        look: true,
    };
    let mut session = Session::new(config);
    let tip = Tip { actor: ActorId([3; 32]), seq: 4, id: ChangesetId([5; 32]) };
    let mut peer = PeerSession::new(SPACE, &[tip], 1 << 20);
    session.connected(0);
    let mut now_ms = 0;
    for _ in 0..64 {
        if input.is_empty() {
            break;
        }
        match input.byte() % 16 {
            0 => session.connected(now_ms),
            1 => session.disconnected(),
            2 => session.on_tick(now_ms),
            3 => session.set_own(vec![ActorId([input.byte(); 32])]),
            4 => peer.difference_sent(),
            _ => {
                let frame = input.part();
                session.on_frame(now_ms, frame);
                peer.on_frame(frame);
            }
        }
        now_ms += 1 << (input.byte() % 20);
        while let Some(output) = session.poll() {
            match output {
                SessionOutput::Login(_) => session.login(Login {
                    client_nonce: [1; 16],
                    proof: Proof { genesis: Bytes::new(), chain: Bytes::new(), signature: [0; 64] },
                    token: None,
                    heads: Some(([2; 32], 5)),
                }),
                SessionOutput::Compare { .. } => session.compare(vec![0; 4]),
                SessionOutput::Differ { tips, .. } => match tips.first() {
                    Some(tip) => {
                        let range = ChainRange { actor: tip.actor, first: 0, last: tip.seq.min(99) };
                        session.get_chain(vec![range], 0);
                    }
                    None => session.resume(None),
                },
                SessionOutput::Chain { next: Some(next), .. } if next > 0 => {
                    session.get_chain(Vec::new(), next)
                }
                SessionOutput::Rows { position, .. } => session.stored(position),
                SessionOutput::Send(frame) => is_a_frame(&frame),
                _ => {}
            }
        }
        while let Some(output) = peer.poll() {
            match output {
                PeerOutput::Send(frame) => is_a_frame(&frame),
                PeerOutput::Rows { bytes, .. } => peer.stored(bytes),
                _ => {}
            }
        }
        let _ = (session.push_window(), session.is_settled(), session.status(), peer.is_caught_up());
    }
}

fn is_a_frame(bytes: &Bytes) {
    assert!(matches!(Frame::decode(bytes), Ok(Some(_))), "we send frames that can be read");
}
