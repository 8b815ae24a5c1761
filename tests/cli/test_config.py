"""What is shown is what is used."""

import yaml
from helpers.builders import command, ours, tiny_config


def test_a_config_is_shown_as_the_workflow_resolves_it(tmp_path):
    (tmp_path / "a.yaml").write_text("data: {source: x, img_size: 64}\nvalidation_data: {source: y}\n")
    (tmp_path / "b.yaml").write_text("data: {img_size: 32}\nsolver: {root_dir: r}\nx-mine: 1\n")
    output = command("config", "show", tmp_path / "a.yaml", tmp_path / "b.yaml").output
    shown = yaml.safe_load(output)
    assert shown["data"]["img_size"] == 32
    assert shown["data"]["source"] == "x"
    assert shown["model"]["conv_dim"] == 512
    assert shown["loss"] == tiny_config().loss.model_dump()
    (tmp_path / "again.yaml").write_text(output)
    assert yaml.safe_load(command("config", "show", tmp_path / "again.yaml").output) == shown


def test_several_runs_are_shown_one_after_the_other(tmp_path):
    text = "{data: {source: x}, validation_data: {source: y}, solver: {root_dir: r}, runs: [{name: a}, {name: b}]}"
    (tmp_path / "a.yaml").write_text(text)
    shown = list(yaml.safe_load_all(command("config", "show", tmp_path / "a.yaml").output))
    assert [config["solver"]["root_dir"] for config in shown] == ["r/a", "r/b"]


def test_faults_are_named(tmp_path):
    for text, fault in (
        ("data: {sorce: x}", "data.sorce: unknown key"),
        ("a: [", "cannot be read as YAML"),
        ("- a", "must be a mapping"),
    ):
        (tmp_path / "a.yaml").write_text(text)
        ended = command("config", "show", tmp_path / "a.yaml")
        assert ended.status == 1
        assert fault in ended.output
    assert "gone.yaml" in command("config", "show", tmp_path / "gone.yaml").output


def test_a_checkpoint_is_summed_up(tmp_path):
    output = command("summary", ours(tmp_path / "10.ckpt", classes=("b", "a"), step=10)).output
    shown = yaml.safe_load(output)
    assert shown["classes"] == ["b", "a"]
    assert shown["step"] == 10
    assert shown["images"]["img_size"] == 32
    assert shown["parameters"].keys() == {"generator", "mapping_network", "style_encoder"}
    assert shown["model"]["conv_dim"] == 4
    (tmp_path / "x.ckpt").write_text("no checkpoint")
    assert command("summary", tmp_path / "x.ckpt").status == 1


def test_what_would_be_read_as_something_else_is_refused(tmp_path):
    (tmp_path / "a.yaml").write_text("data: {classes: [1.10, 2]}\nsolver: {root_dir: r}\ndata: {source: x}\n")
    shown = command("config", "show", tmp_path / "a.yaml")
    assert shown.status == 1
    assert "lines 1 and 3: the key data is repeated; join the two" in shown.output
    assert "line 1: 1.10 would be read as 1.1; put it in quotes" in shown.output


def test_python_in_a_config_is_not_run(tmp_path):
    code = f"open({str(tmp_path / 'ran')!r}, 'w')"
    (tmp_path / "a.yaml").write_text(f'__use_yte__: true\ndata: {{source: "?{code}"}}\n')
    shown = command("config", "show", tmp_path / "a.yaml")
    assert shown.status == 1
    assert "__use_yte__ makes it a template, whose Python code Snakemake runs" in shown.output
    assert not (tmp_path / "ran").exists()
