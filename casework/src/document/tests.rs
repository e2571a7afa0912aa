use super::*;
use automerge::ObjType;

fn make_genesis(schema: Schema) -> Vec<u8> {
    let mut doc = Automerge::new().with_actor(ActorId::from(&schema.genesis_actor()[..]));
    let mut tx = doc.transaction();
    for section in schema.sections() {
        tx.put_object(automerge::ROOT, section.name(), ObjType::Map).expect("a new map");
    }
    tx.commit_with(CommitOptions::default().with_time(0));
    doc.get_last_local_change().expect("the change just made").raw_bytes().to_vec()
}

#[test]
fn the_genesis_change_is_the_frozen_one_and_names_its_containers() {
    for (schema, file) in
        [(Schema::Case1, "genesis-case-1.bin"), (Schema::Resident1, "genesis-resident-1.bin")]
    {
        let made = make_genesis(schema);
        if std::env::var_os("CUNKOU_FREEZE_GENESIS").is_some() {
            std::fs::write(format!("src/document/{file}"), &made).expect("written");
        } else {
            assert_eq!(made, schema.genesis(), "{file} is frozen: automerge now encodes otherwise");
        }
        let actor = schema.genesis_actor();
        for (i, section) in schema.sections().iter().enumerate() {
            assert_eq!(schema.section_of(i as u64 + 1, actor), Some(*section));
        }
        assert_eq!(schema.section_of(1, b"somebody else's."), None);
    }
}

fn phone(value: &str) -> Vec<Write> {
    vec![Write::set(Section::Form, "phone", value)]
}

#[test]
fn two_people_changing_one_field_apart_leave_both_values_and_one_choice_settles_it() {
    let mut agent = Document::new(Schema::Case1).expect("new");
    let first = agent.write([1; 16], 0, &phone("138")).expect("write").expect("a change");
    let mut township = Document::new(Schema::Case1).expect("new");
    township.apply(&[first]).expect("apply");

    let a = agent.write([1; 16], 0, &phone("139")).expect("write").expect("a change");
    let t = township.write([2; 16], 0, &phone("137")).expect("write").expect("a change");
    agent.apply(&[t]).expect("apply");
    township.apply(&[a]).expect("apply");

    assert_eq!(agent.projection(), township.projection());
    assert_eq!(agent.projection().digest(), township.projection().digest());
    assert_eq!(agent.projection().all(Section::Form, "phone"), ["137", "139"]);
    assert_eq!(agent.projection().conflicts().count(), 1);

    let settled = agent.write([1; 16], 0, &phone("139")).expect("write").expect("a change");
    township.apply(&[settled]).expect("apply");
    assert_eq!(township.projection().all(Section::Form, "phone"), ["139"]);
}

#[test]
fn what_a_document_said_at_earlier_heads_can_be_read_after_later_edits() {
    let mut doc = Document::new(Schema::Case1).expect("new");
    doc.write([1; 16], 0, &phone("138")).expect("write");
    let heads = doc.heads();
    doc.write([1; 16], 0, &phone("139")).expect("write");
    let then = doc.projection_at(&heads).expect("known heads");
    assert_eq!(then.get(Section::Form, "phone"), Some("138"));
    assert_eq!(doc.projection_at(&[ChangeId([9; 32])]), None);
}

#[test]
fn saving_the_same_values_again_makes_no_change() {
    let mut doc = Document::new(Schema::Case1).expect("new");
    assert!(doc.write([1; 16], 0, &phone("138")).expect("write").is_some());
    assert!(doc.write([1; 16], 0, &phone("138")).expect("write").is_none());
}

#[test]
fn a_value_over_8_kib_is_refused_and_nothing_is_written() {
    let mut doc = Document::new(Schema::Case1).expect("new");
    let heads = doc.heads();
    let long = phone(&"9".repeat(VALUE_BYTES_MAX + 1));
    assert_eq!(doc.write([1; 16], 0, &long), Err(DocumentError::TooLong));
    assert_eq!(doc.heads(), heads);
}
