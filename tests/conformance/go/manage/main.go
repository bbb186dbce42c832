// Manage is an operator on controller-runtime: for every Tug it keeps a ConfigMap, tells so in the Tug's status, and
// holds the Tug's end back by a finalizer until it has said farewell. It speaks JSON, leads by a lease, and ends with
// its input.
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/clientcmd"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"
)

const finalizer = "tugs.example.com/farewell"

var kind = schema.GroupVersionKind{Group: "tugs.example.com", Version: "v1", Kind: "Tug"}

type reconciler struct{ client.Client }

func (r reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	tug := newTug()
	if err := r.Get(ctx, request.NamespacedName, tug); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if !tug.GetDeletionTimestamp().IsZero() {
		return ctrl.Result{}, r.end(ctx, tug)
	}
	if controllerutil.AddFinalizer(tug, finalizer) {
		if err := r.Update(ctx, tug); err != nil {
			return ctrl.Result{}, err
		}
	}
	kept := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: tug.GetName(), Namespace: tug.GetNamespace()}}
	done, err := controllerutil.CreateOrUpdate(ctx, r.Client, kept, func() error {
		power, _, err := unstructured.NestedInt64(tug.Object, "spec", "power")
		kept.Data = map[string]string{"power": fmt.Sprint(power)}
		if err != nil {
			return err
		}
		return controllerutil.SetControllerReference(tug, kept, r.Scheme())
	})
	if err != nil {
		return ctrl.Result{}, err
	}
	log.Printf("config map %s: %s", kept.Name, done)
	before := tug.DeepCopy()
	if err := unstructured.SetNestedField(tug.Object, tug.GetGeneration(), "status", "observed"); err != nil {
		return ctrl.Result{}, err
	}
	return ctrl.Result{}, r.Status().Patch(ctx, tug, client.MergeFrom(before))
}

func (r reconciler) end(ctx context.Context, tug *unstructured.Unstructured) error {
	name := tug.GetName() + "-farewell"
	farewell := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: tug.GetNamespace()}}
	if err := r.Create(ctx, farewell); client.IgnoreAlreadyExists(err) != nil {
		return err
	}
	controllerutil.RemoveFinalizer(tug, finalizer)
	return r.Update(ctx, tug)
}

func newTug() *unstructured.Unstructured {
	tug := &unstructured.Unstructured{}
	tug.SetGroupVersionKind(kind)
	return tug
}

func main() {
	ctrl.SetLogger(zap.New(zap.WriteTo(os.Stderr)))
	config, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	must(err)
	config.ContentType = "application/json"
	config.AcceptContentTypes = "application/json"
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	namespace, patience := os.Args[1], 5*time.Second
	manager, err := ctrl.NewManager(config, ctrl.Options{
		Cache:                         cache.Options{DefaultNamespaces: map[string]cache.Config{namespace: {}}},
		Metrics:                       server.Options{BindAddress: "0"},
		LeaderElection:                true,
		LeaderElectionID:              "tugs",
		LeaderElectionNamespace:       namespace,
		LeaderElectionReleaseOnCancel: true,
		GracefulShutdownTimeout:       &patience,
	})
	must(err)
	must(ctrl.NewControllerManagedBy(manager).
		Named("tugs").
		For(newTug()).
		Owns(&corev1.ConfigMap{}).
		Complete(reconciler{manager.GetClient()}))
	must(manager.Start(ctx))
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
