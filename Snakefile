include: "workflow/Snakefile"


rule default:
    default_target: True  # an include restores the default target
    input:
        rules.all.input,
