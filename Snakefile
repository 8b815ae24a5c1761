from snakemake.utils import min_version

min_version("9.19")  # profile.yaml as the name of a profile's file


# Read only where nobody names a config: a user's own must not inherit the demo's widths and learning rates.
if not workflow.config_settings.configfiles:

    configfile: f"{workflow.basedir}/config/config.yaml"


report: "workflow/report/workflow.rst"


include: "workflow/rules/common.smk"
include: "workflow/rules/inputs.smk"
include: "workflow/rules/digests.smk"


localrules:
    all,
    key,
    resolve_config,
    publish_checkpoint,
    track_results,


rule all:
    default_target: True
    input:
        expand("reports/{run}.html", run=REPORTS),
        COMPARISON,
        TRACKED,


include: "workflow/rules/keys.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/classifier.smk"
include: "workflow/rules/training.smk"
include: "workflow/rules/selection.smk"
include: "workflow/rules/conversion.smk"
include: "workflow/rules/report.smk"
