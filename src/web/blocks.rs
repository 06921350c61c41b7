//! The replica for JavaScript, sixth part: blocks. Hashes and ids go out as hex digits, signatures too.
use js_sys::Array;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use super::error::{Code, EdgeError};
use super::output::object;
use super::replica::Replica;
use super::space::{summary, to_js};
use crate::replica::{BlockInfo, ChainFault};
use crate::{BlockProof, MemberId, Precommit};

#[wasm_bindgen]
impl Replica {
    /// How many blocks there are.
    #[wasm_bindgen(js_name = blockCount)]
    pub fn block_count(&self) -> f64 {
        self.core().block_count() as f64
    }

    /// A block, with the signatures on it; of a log whose rows are all here.
    pub fn block(&self, at: f64) -> JsValue {
        self.core().block(at as usize).map_or(JsValue::UNDEFINED, |info| block_to_js(&info))
    }

    /// What a block holds of what is no statement of validators, as a history shows it.
    #[wasm_bindgen(js_name = blockOperations)]
    pub fn block_operations(&self, at: f64) -> Result<JsValue, EdgeError> {
        to_js(&self.core().block_operations(at as usize).into_iter().map(summary).collect::<Vec<_>>())
    }

    /// That the block of a height is certified; of a log whose rows are all here.
    #[wasm_bindgen(js_name = blockProof)]
    pub fn block_proof(&self, height: f64) -> Result<JsValue, EdgeError> {
        let none = || EdgeError::argument("height", "there is no block of this height");
        let at = self.core().block_at(height as u64).ok_or_else(none)?;
        let lost = || EdgeError::new(Code::StorageLost, "bytes of this block are not loaded");
        let proof = self.core().block_proof(at).ok_or_else(lost)?;
        Ok(self.certified_to_js(&proof))
    }

    /// Why no blocks follow, if two are certified at one height.
    #[wasm_bindgen(js_name = blocksHalt)]
    pub fn blocks_halt(&self) -> JsValue {
        self.core().blocks_halt().map_or(JsValue::UNDEFINED, |halt| {
            let blocks: Array = halt.blocks.iter().map(|id| JsValue::from(id.to_string())).collect();
            let members: Array = halt.liars.iter().map(|member| JsValue::from(member.to_string())).collect();
            object(&[
                ("height", (halt.height as f64).into()),
                ("blocks", blocks.into()),
                ("signers", members.into()),
            ])
        })
    }

    /// How many blocks were worked out once more, and what is wrong at which height, if anything is.
    #[wasm_bindgen(js_name = verifyBlocks)]
    pub fn verify_blocks(&self) -> JsValue {
        match self.core().verify_blocks() {
            Ok(blocks) => object(&[("blocks", (blocks as f64).into())]),
            Err(fault) => {
                let (ChainFault::Differs(height) | ChainFault::Certificate(height)) = fault;
                let blocks = self.core().block_count() as f64;
                object(&[
                    ("blocks", blocks.into()),
                    ("height", (height as f64).into()),
                    ("reason", fault.to_string().into()),
                ])
            }
        }
    }
}

impl Replica {
    /// A proof as it is shown: plain JSON.
    pub(super) fn certified_to_js(&self, proof: &BlockProof) -> JsValue {
        let space = self.core().space();
        let genesis = self.core().genesis();
        let member = |(member, weight): &(MemberId, u32)| {
            object(&[("member", member.to_string().into()), ("weight", (*weight).into())])
        };
        let precommit = |one: &Precommit| {
            object(&[
                ("actor", one.actor.to_string().into()),
                ("signature", hex(&one.signature.0).into()),
                ("chain", hex(&one.chain).into()),
            ])
        };
        object(&[
            ("version", 1.into()),
            ("space", space.to_string().into()),
            ("header", hex(&proof.header.encode()).into()),
            ("round", proof.round.into()),
            ("era", proof.era.to_string().into()),
            ("validators", proof.members.iter().map(member).collect::<Array>().into()),
            ("genesis", hex(genesis.as_bytes()).into()),
            ("certificate", proof.certificate.iter().map(precommit).collect::<Array>().into()),
        ])
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn block_to_js(info: &BlockInfo) -> JsValue {
    let header = &info.block.header;
    let text = |text: &dyn std::fmt::Display| JsValue::from(text.to_string());
    let votes: Array = info
        .certificate
        .iter()
        .map(|(member, actor, vote)| {
            object(&[
                ("member", text(member)),
                ("actor", text(actor)),
                ("signature", hex(&vote.signature.0).into()),
            ])
        })
        .collect();
    object(&[
        ("id", text(&info.block.id)),
        ("height", (header.height as f64).into()),
        ("round", info.block.round.into()),
        ("time", (header.time_ms as f64).into()),
        ("previous", text(&header.previous)),
        ("size", (header.size as f64).into()),
        ("root", text(&header.root)),
        ("frontier", text(&header.frontier)),
        ("validators", text(&header.set)),
        ("nextValidators", text(&header.next_set)),
        ("proposer", text(&info.block.proposer)),
        ("actor", text(&info.signer)),
        ("signature", hex(&info.signed.signature.0).into()),
        ("header", hex(&header.encode()).into()),
        ("certificate", votes.into()),
        ("changesets", info.changesets.iter().map(|id| text(id)).collect::<Array>().into()),
    ])
}
