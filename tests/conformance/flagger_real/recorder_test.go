// Runs scenarios through Flagger's own controller, workload controllers and routers, on the fake clients of its tests,
// and writes down what each tick leads to. How to use it: README.md beside this file.
package controller

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/tools/record"

	flaggerv1 "github.com/fluxcd/flagger/pkg/apis/flagger/v1beta1"
	"github.com/fluxcd/flagger/pkg/canary"
	fakeFlagger "github.com/fluxcd/flagger/pkg/client/clientset/versioned/fake"
	"github.com/fluxcd/flagger/pkg/metrics"
	"github.com/fluxcd/flagger/pkg/metrics/observers"
	"github.com/fluxcd/flagger/pkg/notifier"
	"github.com/fluxcd/flagger/pkg/router"
)

const ns, name = "test", "podinfo"

type step struct {
	Target  string   `json:"target"`
	Primary string   `json:"primary,omitempty"` // "", waiting, stuck
	Canary  string   `json:"canary,omitempty"`
	Deny    []string `json:"deny,omitempty"`
	Metric  string   `json:"metric,omitempty"` // what every query answers; none: an empty vector
	Repeat  int      `json:"repeat"`
}

type tickRow struct {
	Phase      string   `json:"phase"`
	Weight     int      `json:"weight"`
	Failed     int      `json:"failed"`
	Iterations int      `json:"iterations"`
	Routes     string   `json:"routes"`
	Replicas   int32    `json:"replicas"`
	Primary    string   `json:"primary"`
	Calls      []string `json:"calls"`
	Alerts     []string `json:"alerts"`
	Revision   string   `json:"revision"`
	Cookie     bool     `json:"cookie"`
	Previous   bool     `json:"previous"`
}

type scenario struct {
	Name  string          `json:"name"`
	Spec  json.RawMessage `json:"spec"`
	Steps []step          `json:"steps"`
	Trace []tickRow       `json:"trace"`
}

// world answers webhooks and Prometheus queries, and hears alerts.
type world struct {
	now    step
	calls  []string
	alerts []string
}

func (w *world) Post(_, _, message string, _ []notifier.Field, severity string) error {
	w.alerts = append(w.alerts, severity+" "+message)
	return nil
}

func (w *world) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/api/v1/query") {
		w.measure(rw, strings.Contains(r.URL.RawQuery, "vector"))
		return
	}
	body, _ := io.ReadAll(r.Body)
	var p flaggerv1.CanaryWebhookPayload
	_ = json.Unmarshal(body, &p)
	hook, verdict := strings.TrimPrefix(r.URL.Path, "/"), "ok"
	for _, denied := range w.now.Deny {
		if denied == hook {
			verdict = "fail"
		}
	}
	call := fmt.Sprintf("%s %s %s %s", hook, p.Phase, p.Checksum, verdict)
	if said := p.Metadata["eventMessage"]; said != "" {
		call = fmt.Sprintf("%s %s %s %s: %s", hook, p.Phase, p.Checksum, p.Metadata["eventType"], said)
	}
	w.calls = append(w.calls, call)
	if verdict == "fail" {
		rw.WriteHeader(http.StatusForbidden)
		fmt.Fprint(rw, "not today")
	}
}

func (w *world) measure(rw http.ResponseWriter, probe bool) {
	value := w.now.Metric
	if probe {
		value = "1"
	}
	if value == "none" {
		fmt.Fprint(rw, `{"data":{"result":[]}}`)
		return
	}
	fmt.Fprintf(rw, `{"data":{"result":[{"value":[1,%q]}]}}`, value)
}

func deployment(image string) *appsv1.Deployment {
	one, labels := int32(1), map[string]string{"app": name}
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name},
		Spec: appsv1.DeploymentSpec{Replicas: &one, Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: name, Image: image}}}}},
	}
}

func rolledOut(kind string, n int32) appsv1.DeploymentStatus {
	progressing := appsv1.DeploymentCondition{Type: appsv1.DeploymentProgressing}
	status := appsv1.DeploymentStatus{Replicas: n, UpdatedReplicas: n, ReadyReplicas: n, AvailableReplicas: n}
	switch kind {
	case "waiting":
		status.Replicas = n + 1
	case "stuck":
		progressing.Reason = "ProgressDeadlineExceeded"
	}
	status.Conditions = []appsv1.DeploymentCondition{progressing}
	return status
}

func TestRecord(t *testing.T) {
	in, err := os.Open(os.Getenv("SCENARIOS"))
	if err != nil {
		t.Skip("SCENARIOS names no file")
	}
	out, err := os.Create(os.Getenv("RECORDED"))
	require.NoError(t, err)
	defer out.Close()
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 1<<24)
	for lines.Scan() {
		var s scenario
		require.NoError(t, json.Unmarshal(lines.Bytes(), &s))
		s.Trace = run(t, s)
		line, err := json.Marshal(s)
		require.NoError(t, err)
		fmt.Fprintln(out, string(line))
	}
}

func run(t *testing.T, s scenario) (rows []tickRow) {
	w := &world{}
	server := httptest.NewServer(w)
	defer server.Close()
	cd := flaggerv1.Canary{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name}}
	text := strings.ReplaceAll(string(s.Spec), "http://world", server.URL)
	require.NoError(t, json.Unmarshal([]byte(text), &cd.Spec))
	clients, pods, log := fakeFlagger.NewSimpleClientset(&cd), fake.NewSimpleClientset(deployment("v1")), zap.NewNop().Sugar()
	routers := router.NewFactory(nil, pods, clients, nil, "a", "", log, clients, true)
	prometheus, _ := observers.NewFactory(server.URL)
	tracker := &canary.ConfigTracker{Logger: log, KubeClient: pods, FlaggerClient: clients}
	c := &Controller{
		kubeClient: pods, flaggerClient: clients, eventRecorder: &record.FakeRecorder{}, logger: log,
		canaries: new(sync.Map), observerFactory: prometheus, recorder: metrics.NewRecorder("record", false),
		canaryFactory: canary.NewFactory(pods, clients, nil, tracker, []string{"app"}, []string{""}, log),
		routerFactory: routers, notifier: w, meshProvider: "istio",
	}
	get := func(name string) *appsv1.Deployment {
		found, err := pods.AppsV1().Deployments(ns).Get(context.TODO(), name, metav1.GetOptions{})
		if err != nil {
			return nil
		}
		return found
	}
	update := func(d *appsv1.Deployment, kind string) {
		d.Status = rolledOut(kind, *d.Spec.Replicas)
		_, err := pods.AppsV1().Deployments(ns).Update(context.TODO(), d, metav1.UpdateOptions{})
		require.NoError(t, err)
	}
	object := func() *flaggerv1.Canary {
		found, err := clients.FlaggerV1beta1().Canaries(ns).Get(context.TODO(), name, metav1.GetOptions{})
		require.NoError(t, err)
		return found
	}
	for _, st := range s.Steps {
		for range max(st.Repeat, 1) {
			w.now, w.calls, w.alerts = st, []string{}, []string{}
			target := get(name)
			target.Spec.Template.Spec.Containers[0].Image = st.Target
			revision := canary.ComputeHash(target.Spec.Template)
			update(target, st.Canary)
			if primary := get(name + "-primary"); primary != nil {
				update(primary, st.Primary)
			}
			asWritten := object() // the fake client lets a status update change the spec as well
			asWritten.Spec = *cd.Spec.DeepCopy()
			_, err := clients.FlaggerV1beta1().Canaries(ns).Update(context.TODO(), asWritten, metav1.UpdateOptions{})
			require.NoError(t, err)

			c.advanceCanary(name, ns)

			now, row := object().Status, tickRow{Routes: "none", Calls: w.calls, Alerts: w.alerts, Revision: revision}
			if p, c, mirrored, err := routers.MeshRouter(cd.Spec.Provider, "app").GetRoutes(object()); err == nil {
				row.Routes = fmt.Sprintf("%d/%d/%t", p, c, mirrored)
			}
			if primary := get(name + "-primary"); primary != nil {
				row.Primary = primary.Spec.Template.Spec.Containers[0].Image
			}
			row.Phase, row.Weight, row.Failed, row.Iterations = string(now.Phase), now.CanaryWeight, now.FailedChecks, now.Iterations
			row.Replicas = *get(name).Spec.Replicas
			row.Cookie, row.Previous = now.SessionAffinityCookie != "", now.PreviousSessionAffinityCookie != ""
			rows = append(rows, row)
		}
	}
	return rows
}
