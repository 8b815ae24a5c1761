from quac.system.console import log, printable, start_log


def test_what_a_terminal_would_obey_is_shown(capsys, tmp_path):
    name = "a\x1b[2Jb\x07\x9b\u202ec\udc80\r.png"
    assert printable(name) == r"a\x1b[2Jb\x07\x9b\u202ec\udc80\r.png"
    assert printable("Größe: 5 µm,\tein Bild 🦊\n  zweites") == "Größe: 5 µm,\tein Bild 🦊\n  zweites"
    start_log(tmp_path / "x.log")
    log.info("%s: is torn", name.replace("\udc80", ""))  # pytest's own record of the log must be UTF-8
    for shown in (capsys.readouterr().err, (tmp_path / "x.log").read_text()):
        assert r"a\x1b[2Jb\x07" in shown
        assert "\x1b" not in shown
    start_log()
