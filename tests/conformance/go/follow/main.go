// Follow prints what client-go's shared informers see of a namespace's config maps and secrets, a line an event:
// "ADD name", "UPDATE name", "DELETE name", and "SAME name" for what a new list repeats. It ends with its input.
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
)

func main() {
	config, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	if err != nil {
		log.Fatal(err)
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		log.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	selected := informers.WithTweakListOptions(func(options *metav1.ListOptions) { options.LabelSelector = "followed" })
	factory := informers.NewSharedInformerFactoryWithOptions(client, 0, informers.WithNamespace(os.Args[1]), selected)
	lines := make(chan string, 1000)
	for _, informer := range []cache.SharedIndexInformer{
		factory.Core().V1().ConfigMaps().Informer(),
		factory.Core().V1().Secrets().Informer(),
	} {
		if _, err := informer.AddEventHandler(told(lines)); err != nil {
			log.Fatal(err)
		}
	}
	factory.Start(ctx.Done())
	for kind, synced := range factory.WaitForCacheSync(ctx.Done()) {
		if !synced {
			log.Fatalf("%v was not listed", kind)
		}
	}
	fmt.Println("SYNCED")
	for {
		select {
		case line := <-lines:
			fmt.Println(line)
		case <-ctx.Done():
			return
		}
	}
}

func told(lines chan<- string) cache.ResourceEventHandlerFuncs {
	return cache.ResourceEventHandlerFuncs{
		AddFunc: func(obj any) { lines <- "ADD " + meta(obj).GetName() },
		UpdateFunc: func(before, after any) {
			verb := "UPDATE "
			if meta(before).GetResourceVersion() == meta(after).GetResourceVersion() {
				verb = "SAME "
			}
			lines <- verb + meta(after).GetName()
		},
		DeleteFunc: func(obj any) {
			if gone, missed := obj.(cache.DeletedFinalStateUnknown); missed {
				lines <- "MISSED " + meta(gone.Obj).GetName()
				return
			}
			lines <- "DELETE " + meta(obj).GetName()
		},
	}
}

func meta(obj any) metav1.Object {
	return obj.(metav1.Object)
}
