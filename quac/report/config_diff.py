"""Which settings of a run differ from the defaults."""

from quac.config.section import Section


def changed_settings(section):
    """Settings that are not the default, as `(name, value)`: `("solver.lr", 0.0005)`.

    What has no default, and what was counted in the data or follows from another setting, is among them.
    """
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        if isinstance(value, Section):
            yield from ((f"{name}.{inner}", changed) for inner, changed in changed_settings(value))
        elif field.is_required() or value != field.get_default(call_default_factory=True):
            (plain,) = section.model_dump(include={name}).values()
            yield name, plain
