package config

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// RewriteInput is what rewriters see beside the configuration.
type RewriteInput struct {
	// Environ is the environment as os.Environ gives it.
	Environ []string
	// Topics lists the topics of a system. It is called only for a regex
	// rewriter; nil makes that an error.
	Topics func(system string) ([]string, error)
}

func rewriterSystem(c Config, name string) string {
	if s := JobConfigRewriterSystem.Of(c, name); s != "" {
		return s
	}
	return DefaultSystem(c)
}

// Rewrite applies the rewriters of job.config.rewriters in order, each to what
// the one before left.
func Rewrite(c Config, in RewriteInput) (Config, error) {
	for _, name := range JobConfigRewriters.Of(c) {
		class, err := JobConfigRewriterClass.Get(c, name)
		if err != nil {
			return c, err
		}
		origin := Origin{Source: "rewriter " + name}
		var m map[string]string
		switch class {
		case "environment":
			m, err = fromEnvironment(c, name, in.Environ)
		case "regex":
			m, err = fromTopics(c, name, in.Topics)
		default:
			err = errorAt(c, JobConfigRewriters.Name(), "", "the rewriter %s has no class; set %s to one of %s",
				quote(name), JobConfigRewriterClass.Name(name), strings.Join(names(KindRewriter), ", "))
		}
		if err != nil {
			return c, err
		}
		c = c.layer(m, origin)
	}
	return c, nil
}

// fromEnvironment makes foo.bar of SAMZA_FOO_BAR (Samza's
// EnvironmentConfigRewriter). A key that differs from one of the file only in
// case is an error: the file's cannot be set through the environment.
func fromEnvironment(c Config, name string, environ []string) (map[string]string, error) {
	m := map[string]string{}
	for _, e := range environ {
		v, value, _ := strings.Cut(e, "=")
		v, ok := strings.CutPrefix(v, "SAMZA_")
		if !ok || v == "" {
			continue
		}
		key := strings.ToLower(strings.ReplaceAll(v, "_", "."))
		for _, k := range c.Keys() {
			if k != key && strings.EqualFold(k, key) {
				return nil, errorAt(c, k, "spell the key in lower case, or unset SAMZA_"+v,
					"the environment sets %s, which differs only in case (rewriter %s)", key, name)
			}
		}
		m[key] = value
	}
	return m, nil
}

// fromTopics adds the topics that match to task.inputs, and sets config.* for
// each (Samza's RegExTopicGenerator).
func fromTopics(c Config, name string, topics func(string) ([]string, error)) (map[string]string, error) {
	key := JobConfigRewriterRegex.Name(name)
	expr, err := JobConfigRewriterRegex.Get(c, name)
	if err != nil {
		return nil, err
	}
	if expr == "" {
		return nil, errorAt(c, key, "", "not set; expected a regular expression for topics")
	}
	re, err := regexp.Compile(`^(?:` + expr + `)$`)
	if err != nil {
		return nil, typeError(c, key, expr, err)
	}
	system := rewriterSystem(c, name)
	if system == "" {
		return nil, errorAt(c, JobConfigRewriterSystem.Name(name), "", "not set, and there is no default system")
	}
	if topics == nil {
		return nil, errorAt(c, JobConfigRewriterClass.Name(name), "", "the topics of %s are not known here", system)
	}
	all, err := topics(system)
	if err != nil {
		return nil, fmt.Errorf("rewriter %s: list the topics of %s: %w", name, system, err)
	}
	slices.Sort(all)
	inputs := TaskInputs.Of(c)
	m := map[string]string{}
	settings := c.Subset("job.config.rewriter."+name+".config.", true).Map()
	for _, t := range all {
		if !re.MatchString(t) {
			continue
		}
		if s := system + "." + t; !slices.Contains(inputs, s) {
			inputs = append(inputs, s)
		}
		for _, k := range slices.Sorted(maps.Keys(settings)) {
			// As in Samza, what is set for the topic itself wins.
			if key := "systems." + system + ".streams." + t + "." + k; !c.has(key) {
				m[key] = settings[k]
			}
		}
	}
	if len(inputs) > 0 {
		slices.Sort(inputs)
		m[TaskInputs.Name()] = strings.Join(inputs, ",")
	}
	return m, nil
}
