# Why stages run again: see docs/what-runs-again.md.


rule key:
    output:
        "{root}/keys/{stage}.json",
    log:
        "{root}/logs/key_{stage}.log",
    wildcard_constraints:
        root="|".join(map(re.escape, TABLE.holders)),  # of a shared folder too, in which there is no run
    params:
        content=lambda wc: KEYS[wc.root, wc.stage],
    shell:
        "(printf '%s\\n' {params.content:q} > {output:q}) 2>&1 | tee {log:q}"


rule resolve_config:
    input:
        "{root}/keys/config.json",
    output:
        "{root}/config.yaml",
    log:
        "{root}/logs/resolve_config.log",
    shell:
        "quac resolve-config --key {input:q} --out {output:q} --log-file {log:q}"
