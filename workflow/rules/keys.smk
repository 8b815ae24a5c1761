# The key files: why stages run again, see docs/explanation/what-runs-again.md.


KEY_FILES, DIFFERENT = {}, set()
if workflow.is_main_process:  # a job that reads this file again computes no key, and touches no data
    try:
        KEY_FILES, DIFFERENT = compare_keys()
    except QuacError as error:
        fail(error)
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}")


onstart:
    # Not before: a dry run changes nothing.
    dated = date_now(
        TABLE.owners,
        [f"reports/{run}.{ending}" for run in [*REPORTS, INDEX] for ending in ("html", "json", "csv")] + EXPLORERS,
    )
    if dated:
        print(
            f"{dated} results are dated in the future: the clock was set back. They are dated now.", file=sys.stderr
        )


rule key:
    input:
        lambda wc: force_if_different(f"{wc.root}/keys/{wc.stage}.json"),
    output:
        "{root}/keys/{stage}.json",
    log:
        "{root}/logs/key_{stage}.log",
    wildcard_constraints:
        root="|".join(map(re.escape, TABLE.owners)),  # the owner of shared data need not be a run
        stage="|".join(sorted({str(job) for run in RUNS.values() for job in stage_jobs(run)})),
    params:
        text=lambda wc, input, output: KEY_FILES[output[0]],
    shell:
        "(cp {params.text:q} {output:q}.part && mv {output:q}.part {output:q}) 2>&1 | tee {log:q}"


rule resolve_config:
    input:
        "{root}/keys/config.json",
    output:
        "{root}/config.yaml",
    log:
        "{root}/logs/resolve_config.log",
    shell:
        "quac resolve-config --key {input:q} --out {output:q} --log-file {log:q}"
